"""States and history: what goes through the codecs comes back the same."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig, ServerNotice
from modelyard.domain.status import (
    GatewayStatus,
    ModelState,
    ModelStatus,
    Note,
    RefusedResource,
    ReplicaModelState,
    ReplicaModelStatus,
    ReplicaState,
    ReplicaStatus,
    ServerStatus,
    SystemStatus,
    VersionStatus,
)
from modelyard.wire import statuses
from tests.wire.strategies import BYTES, COUNTS, MANIFESTS, NAMES, PORTS, TEXTS, TIMES


@st.composite
def model_statuses(draw: st.DrawFn) -> ModelStatus:
    name, server = draw(NAMES), draw(NAMES)
    versions = []
    for number in sorted(draw(st.sets(st.integers(1, 2**32 - 1), max_size=3))):
        replicas = tuple(
            ReplicaModelStatus(
                VersionId(name, number),
                ReplicaId(server, index),
                draw(st.sampled_from(ReplicaModelState)),
                draw(TEXTS),
                draw(TIMES),
            )
            for index in sorted(draw(st.sets(st.integers(0, 2**31 - 1), max_size=2)))
        )
        versions.append(
            VersionStatus(
                version=number,
                server=server,
                state=draw(st.sampled_from(ModelState)),
                reason=draw(TEXTS),
                available_replicas=draw(COUNTS),
                unavailable_replicas=draw(COUNTS),
                changed_at=draw(TIMES),
                model=Model(name, ModelSpec(Artifact(draw(TEXTS)))),
                replicas=replicas,
            )
        )
    return ModelStatus(name, tuple(versions), draw(st.booleans()))


@st.composite
def server_statuses(draw: st.DrawFn) -> ServerStatus:
    name = draw(NAMES)
    shared = draw(st.booleans())
    config = st.builds(
        ReplicaConfig, NAMES, PORTS, PORTS, BYTES, st.frozensets(NAMES, max_size=2), st.integers(0, 1000)
    )
    replicas = []
    for index in sorted(draw(st.sets(COUNTS, max_size=2))):
        replica = ReplicaId(name, index)
        held = st.builds(
            ReplicaModelStatus,
            version=st.builds(VersionId, NAMES, COUNTS),
            replica=st.just(replica),
            state=st.sampled_from(ReplicaModelState),
            reason=TEXTS,
            changed_at=st.just(0.0),
            accounted_bytes=BYTES,
            measured_bytes=st.none() | BYTES,
            resident=st.none() | st.booleans(),
            note=TEXTS,
            fetched_bytes=st.none() | BYTES,
            fetch_total_bytes=st.none() | BYTES,
        )
        replicas.append(
            ReplicaStatus(
                replica,
                draw(st.sampled_from(ReplicaState)),
                draw(TEXTS),
                draw(TIMES),
                draw(st.none() | config),
                draw(BYTES),
                tuple(draw(st.lists(held, max_size=2))),
            )
        )
    notice = st.builds(
        ServerNotice, st.just(name), st.integers(0, 2**31 - 1), st.none() | COUNTS, st.none() | COUNTS, st.just(shared)
    )
    return ServerStatus(name, shared, draw(st.none() | notice), draw(st.none() | MANIFESTS), tuple(replicas))


@given(model_statuses())
def test_a_model_status_comes_back(status: ModelStatus) -> None:
    assert statuses.decode_model_status(statuses.encode_model_status(status)) == status


@given(server_statuses())
def test_a_server_status_comes_back(status: ServerStatus) -> None:
    assert statuses.decode_server_status(statuses.encode_server_status(status)) == status


@given(st.lists(st.builds(Note, TIMES, TEXTS, TEXTS, TEXTS, BYTES), max_size=3).map(tuple))
def test_notes_come_back_in_their_order(notes: tuple[Note, ...]) -> None:
    assert statuses.decode_notes(statuses.encode_notes(notes)) == notes


@given(
    st.builds(
        SystemStatus,
        version=TEXTS,
        started=TIMES,
        waiting_for=TEXTS,
        gateways=st.lists(st.builds(GatewayStatus, NAMES, st.booleans(), TIMES, TEXTS), max_size=2).map(tuple),
        refusals=st.lists(st.builds(RefusedResource, NAMES, NAMES, TEXTS), max_size=2).map(tuple),
        warnings=st.lists(TEXTS, max_size=2).map(tuple),
        providers=COUNTS,
    )
)
def test_the_system_comes_back(system: SystemStatus) -> None:
    assert statuses.decode_system(statuses.encode_system(system)) == system


def test_states_newer_than_ours_are_read_without_an_error() -> None:
    version = VersionStatus(1, "local", ModelState.AVAILABLE, "", 1, 0, 0.0, Model("m", ModelSpec(Artifact("u"))))
    message = statuses.encode_model_status(ModelStatus("m", (version,)))
    message.versions[0].state.state = 99  # type: ignore[assignment]
    assert statuses.decode_model_status(message).versions[0].state is ModelState.UNKNOWN
