"""The agent protocol's codecs: what goes through them comes back the same."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.agent_protocol import (
    ModelEvent,
    ModelEventKind,
    ModelMeasure,
    ModelVersion,
    Operation,
    OperationKind,
    Subscription,
)
from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.wire import agents, models
from tests.wire.strategies import BYTES, COUNTS, NAMES, PORTS, TEXTS
from tests.wire.test_models import MESSAGES

REPLICAS = st.builds(ReplicaId, NAMES, COUNTS)
VERSIONS = st.builds(VersionId, NAMES, COUNTS)
MODELS: st.SearchStrategy[Model] = MESSAGES.map(models.decode_model)
MODEL_VERSIONS = st.builds(ModelVersion, MODELS, COUNTS)
CONFIGS = st.builds(ReplicaConfig, TEXTS, PORTS, PORTS, BYTES, st.frozensets(TEXTS, max_size=3), COUNTS)
SUBSCRIPTIONS = st.builds(
    Subscription, REPLICAS, CONFIGS, st.booleans(), st.lists(MODEL_VERSIONS, max_size=2).map(tuple), BYTES
)
EVENTS = st.builds(
    ModelEvent,
    REPLICAS,
    st.sampled_from(ModelEventKind),
    st.none() | VERSIONS,
    TEXTS,
    BYTES,
    st.none() | st.integers(1, 2**32 - 1),
)
MEASURES = st.builds(
    ModelMeasure,
    VERSIONS,
    st.none() | BYTES,
    st.booleans(),
    st.none() | st.integers(0, 4 * 10**9).map(float),
    st.none() | COUNTS,
    st.text(max_size=5),
    st.none() | BYTES,
    st.none() | BYTES,
)


@given(SUBSCRIPTIONS)
def test_a_subscription_comes_back(it: Subscription) -> None:
    assert agents.decode_subscription(agents.encode_subscription(it)) == it


@given(st.builds(Operation, st.sampled_from(OperationKind), MODEL_VERSIONS, st.booleans()))
def test_an_order_comes_back(it: Operation) -> None:
    assert agents.decode_operation(agents.encode_operation(it)) == it


@given(EVENTS)
def test_a_model_event_comes_back(it: ModelEvent) -> None:
    assert agents.decode_event(agents.encode_event(it)) == it


@given(REPLICAS, st.lists(MEASURES, max_size=3).map(tuple))
def test_a_report_comes_back(replica: ReplicaId, measures: tuple[ModelMeasure, ...]) -> None:
    assert agents.decode_measures(agents.encode_report(replica, measures)) == (replica, measures)


def test_an_order_newer_than_ours_is_to_be_ignored() -> None:
    message = agents.OperationMessage()
    message.operation = 99  # type: ignore[assignment]
    assert agents.decode_operation(message) is None


def test_an_event_newer_than_ours_is_to_be_ignored() -> None:
    message = agents.EventMessage(modelName="iris")
    message.event = 99  # type: ignore[assignment]
    assert agents.decode_event(message) is None


def test_a_drain_names_its_replica() -> None:
    assert agents.decode_drain(agents.DrainRequest(serverName="local", replicaIdx=3)) == ReplicaId("local", 3)
