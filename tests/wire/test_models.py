"""Models through the domain and back: nothing a peer said is lost, but for what is listed in `as_we_keep_it`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.wire import models
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb
from tests.wire.strategies import COUNTS, NAMES, REPLICAS, TEXTS

BYTES = st.binary(max_size=8)
UINT64 = st.integers(0, 2**64 - 1)
STORAGE = st.builds(pb.StorageConfig, storageSecretName=TEXTS) | st.builds(pb.StorageConfig, storageRcloneConfig=TEXTS)
SPECS = st.builds(
    pb.ModelSpec,
    uri=TEXTS,
    artifactVersion=st.none() | COUNTS,
    storageConfig=st.none() | STORAGE,
    requirements=st.lists(TEXTS, max_size=4),
    memoryBytes=st.none() | UINT64,
    server=st.none() | TEXTS,
    parameters=st.lists(st.builds(pb.ParameterSpec, name=TEXTS, value=TEXTS), max_size=3),
    explainer=st.none() | st.builds(pb.ExplainerSpec, type=TEXTS, modelRef=st.none() | TEXTS),
) | st.builds(pb.ModelSpec, uri=TEXTS, llm=st.builds(pb.LlmSpec, modelRef=st.none() | TEXTS))
MESSAGES = st.builds(
    pb.Model,
    meta=st.builds(
        pb.MetaData,
        name=NAMES,
        kind=st.none() | TEXTS,
        version=st.none() | TEXTS,
        kubernetesMeta=st.none()
        | st.builds(pb.KubernetesMeta, namespace=TEXTS, generation=st.integers(-(2**63), 2**63 - 1)),
    ),
    modelSpec=SPECS,
    deploymentSpec=st.builds(
        pb.DeploymentSpec, replicas=COUNTS, minReplicas=COUNTS, maxReplicas=COUNTS, logPayloads=st.booleans()
    ),
    streamSpec=st.none() | st.builds(pb.StreamSpec, inputTopic=TEXTS, outputTopic=TEXTS),
    dataflowSpec=st.none() | st.builds(pb.DataflowSpec, cleanTopicsOnDelete=st.booleans()),
)


def as_we_keep_it(message: pb.Model) -> pb.Model:
    """What is normalised on the way through, and nothing else."""
    kept = pb.Model()
    kept.CopyFrom(message)
    spec, counts, meta = kept.modelSpec, kept.deploymentSpec, kept.meta
    requirements = sorted(set(spec.requirements))
    del spec.requirements[:]
    spec.requirements.extend(requirements)
    if not spec.server:
        spec.ClearField("server")
    spec.ClearField("modelRuntimeInfo")  # an agent's word, not a part of the model
    counts.replicas = counts.replicas or counts.minReplicas or 1
    if counts.maxReplicas == models.UNLIMITED:
        counts.maxReplicas = 0
    if not meta.kubernetesMeta.ByteSize():
        meta.ClearField("kubernetesMeta")
    if not message.modelSpec.storageConfig.ByteSize():
        spec.ClearField("storageConfig")
    return kept


def bytes_of(message: pb.Model) -> bytes:
    return message.SerializeToString(deterministic=True)


@given(MESSAGES)
def test_a_model_comes_back_as_it_was_sent(message: pb.Model) -> None:
    assert models.encode_model(models.decode_model(message)) == as_we_keep_it(message)


@given(MESSAGES)
def test_what_comes_back_means_the_same_model(message: pb.Model) -> None:
    model = models.decode_model(message)
    assert models.decode_model(models.encode_model(model)) == model


@given(MESSAGES, REPLICAS)
def test_a_journaled_model_comes_back_with_the_presence_of_its_counts(message: pb.Model, counts: Replicas) -> None:
    model = models.decode_model(message, counts)
    assert models.parse_model(models.serialize_model(model), counts) == model


@given(MESSAGES)
def test_equality_does_not_depend_on_the_order_of_requirements(message: pb.Model) -> None:
    other = pb.Model()
    other.CopyFrom(message)
    del other.modelSpec.requirements[:]
    other.modelSpec.requirements.extend(reversed(message.modelSpec.requirements))
    assert models.decode_model(other).spec == models.decode_model(message).spec


NEWER = b"\xba\x3e\x03new"  # field 999, of a contract newer than ours


@pytest.mark.parametrize("part", ["", "meta", "modelSpec", "deploymentSpec"])
def test_fields_newer_than_ours_are_kept(part: str) -> None:
    message = pb.Model(meta=pb.MetaData(name="iris"), modelSpec=pb.ModelSpec(uri="u"))
    message.deploymentSpec.replicas = 1
    (getattr(message, part) if part else message).MergeFromString(NEWER)
    assert bytes_of(models.encode_model(models.decode_model(message))) == bytes_of(message)


def test_a_spec_with_a_newer_field_is_another_spec() -> None:
    plain, newer = pb.ModelSpec(uri="u"), pb.ModelSpec(uri="u")
    newer.MergeFromString(NEWER)
    assert models.decode_spec(plain) != models.decode_spec(newer)


@pytest.mark.parametrize(
    ("counts", "meant"),
    [
        pytest.param((0, 0, 0), Replicas(1), id="nothing set is one replica"),
        pytest.param((0, 2, 0), Replicas(2, 2), id="only a minimum is as many replicas"),
        pytest.param((3, 1, 0), Replicas(3, 1), id="a minimum below the wanted"),
        pytest.param((3, 0, 2**32 - 1), Replicas(3), id="the largest maximum is unset"),
        pytest.param((1, 0, 4), Replicas(1, None, 4), id="a maximum is a maximum"),
        pytest.param((1, 3, 2), Replicas(1, 3, 2), id="a contradiction is kept, to be refused"),
    ],
)
def test_raw_counts_mean(counts: tuple[int, int, int], meant: Replicas) -> None:
    wanted, minimum, maximum = counts
    message = pb.DeploymentSpec(replicas=wanted, minReplicas=minimum, maxReplicas=maximum)
    assert models.decode_replicas(message) == meant


@pytest.mark.parametrize(
    ("info", "copies"),
    [
        pytest.param({}, None, id="nothing told"),
        pytest.param({"mlserver": {"parallelWorkers": 4}}, 4, id="four workers of MLServer"),
        pytest.param({"mlserver": {"parallelWorkers": 0}}, 1, id="MLServer without workers holds one"),
        pytest.param(
            {"triton": {"cpu": [{"instanceCount": 2}, {"instanceCount": 1}]}}, 3, id="CPU instances of Triton"
        ),
        pytest.param({"triton": {}}, 1, id="Triton without CPU instances holds one"),
    ],
)
def test_copies_are_read_from_the_runtime_info(info: dict[str, object], copies: int | None) -> None:
    assert models.decode_copies(pb.ModelRuntimeInfo(**info)) == copies  # type: ignore[arg-type]


def test_copies_go_out_as_the_reference_s_agents_tell_them() -> None:
    message = models.encode_model(Model("iris", ModelSpec(Artifact("u"))), copies=3)
    assert models.decode_copies(message.modelSpec.modelRuntimeInfo) == 3
