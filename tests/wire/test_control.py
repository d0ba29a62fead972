"""The control API's codecs: what goes through them comes back the same."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest
from modelyard.domain.status import ApplyOutcome, Explanation, Verdict
from modelyard.wire import control
from tests.wire.strategies import BYTES, COUNTS, MANIFESTS, NAMES, REPLICAS, TEXTS

EXPLANATIONS = st.builds(
    Explanation,
    summary=TEXTS,
    placed=st.booleans(),
    server=NAMES,
    verdicts=st.lists(st.builds(Verdict, st.builds(ReplicaId, NAMES, COUNTS), st.booleans(), TEXTS), max_size=3).map(
        tuple
    ),
)


@given(MANIFESTS)
def test_a_server_manifest_comes_back_with_the_presence_of_its_counts(manifest: ServerManifest) -> None:
    assert control.decode_server_manifest(control.encode_server_manifest(manifest)) == manifest


@given(NAMES, REPLICAS, BYTES, st.booleans())
def test_an_applied_model_comes_back_with_the_presence_of_its_counts(
    name: str, replicas: Replicas, memory: int, dry: bool
) -> None:
    model = Model(name, ModelSpec(Artifact("file:///m"), frozenset({"onnx"}), memory), replicas)
    request = control.encode_apply_model(model, dry_run=dry)
    assert control.decode_apply_model(request) == model
    assert request.dry_run is dry


@given(st.sampled_from(ApplyOutcome), COUNTS, EXPLANATIONS)
def test_the_answer_to_an_applied_model_comes_back(
    outcome: ApplyOutcome, version: int, explanation: Explanation
) -> None:
    message = control.encode_applied_model(outcome, version, explanation)
    assert control.decode_applied_model(message) == (outcome, version, explanation)


@given(st.sampled_from(ApplyOutcome), TEXTS)
def test_the_answer_to_an_applied_server_comes_back(outcome: ApplyOutcome, note: str) -> None:
    assert control.decode_applied_server(control.encode_applied_server(outcome, note)) == (outcome, note)


def test_counts_left_out_are_one_replica_and_no_bounds() -> None:
    assert control.decode_replicas(control.ApplyModelRequest().replicas) == Replicas(1, None, None)


def test_an_outcome_newer_than_ours_is_no_error() -> None:
    message = control.ApplyServerResponse(note="n")
    message.outcome = 99  # type: ignore[assignment]
    assert control.decode_applied_server(message) == (ApplyOutcome.UNCHANGED, "n")
