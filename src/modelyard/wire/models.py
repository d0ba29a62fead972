"""Models: `seldon.mlops.scheduler.Model` to and from `domain.model.Model`.

What the domain does not act on travels in the `carried` bytes, serialised, so that nothing is lost on the way through.
"""

from typing import TypeAlias

from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.kit import redact
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb

ModelMessage: TypeAlias = pb.Model
UNLIMITED = 0xFFFFFFFF  # how the reference's operator writes an unset maxReplicas

_SPEC_FIELDS = (
    "uri",
    "artifactVersion",
    "storageConfig",
    "requirements",
    "memoryBytes",
    "server",
    "parameters",
    "modelRuntimeInfo",
)


def decode_model(message: ModelMessage, replicas: Replicas | None = None) -> Model:
    """The model in a message; `replicas` where they came by a message that can tell unset from 0."""
    rest = pb.Model()
    rest.CopyFrom(message)
    rest.ClearField("modelSpec")
    for counted in ("replicas", "minReplicas", "maxReplicas"):
        rest.deploymentSpec.ClearField(counted)
    if not rest.deploymentSpec.ByteSize():
        rest.ClearField("deploymentSpec")
    rest.meta.ClearField("name")
    kubernetes = message.meta.kubernetesMeta
    rest.meta.ClearField("kubernetesMeta")
    if not rest.meta.ByteSize():
        rest.ClearField("meta")
    return Model(
        name=message.meta.name,
        spec=decode_spec(message.modelSpec),
        replicas=replicas if replicas is not None else decode_replicas(message.deploymentSpec),
        kubernetes_namespace=kubernetes.namespace,
        kubernetes_generation=kubernetes.generation,
        carried=rest.SerializeToString(deterministic=True),
    )


def encode_model(model: Model, *, copies: int | None = None) -> ModelMessage:
    """`copies` goes into modelRuntimeInfo, as the reference's agents report it."""
    message = pb.Model.FromString(model.carried)
    message.meta.name = model.name
    if model.kubernetes_namespace or model.kubernetes_generation:
        message.meta.kubernetesMeta.namespace = model.kubernetes_namespace
        message.meta.kubernetesMeta.generation = model.kubernetes_generation
    message.modelSpec.CopyFrom(encode_spec(model.spec))
    message.deploymentSpec.replicas = model.replicas.wanted
    message.deploymentSpec.minReplicas = model.replicas.minimum or 0
    message.deploymentSpec.maxReplicas = model.replicas.maximum or 0
    if copies is not None:
        message.modelSpec.modelRuntimeInfo.mlserver.parallelWorkers = copies
    return message


def decode_spec(message: pb.ModelSpec) -> ModelSpec:
    rest = pb.ModelSpec()
    rest.CopyFrom(message)
    for name in _SPEC_FIELDS:
        rest.ClearField(name)
    has_storage = message.HasField("storageConfig")
    return ModelSpec(
        artifact=Artifact(
            uri=message.uri,
            version=message.artifactVersion if message.HasField("artifactVersion") else None,
            storage=message.storageConfig.SerializeToString(deterministic=True) if has_storage else b"",
        ),
        requirements=frozenset(message.requirements),
        memory_bytes=message.memoryBytes if message.HasField("memoryBytes") else None,
        server=message.server if message.HasField("server") and message.server else None,
        parameters=tuple((p.name, p.value) for p in message.parameters),
        explainer_type=message.explainer.type if message.HasField("explainer") else None,
        carried=rest.SerializeToString(deterministic=True),
    )


def encode_spec(spec: ModelSpec) -> pb.ModelSpec:
    message = pb.ModelSpec.FromString(spec.carried)
    message.uri = spec.artifact.uri
    if spec.artifact.version is not None:
        message.artifactVersion = spec.artifact.version
    if spec.artifact.storage:
        message.storageConfig.ParseFromString(spec.artifact.storage)
    message.requirements.extend(sorted(spec.requirements))
    if spec.memory_bytes is not None:
        message.memoryBytes = spec.memory_bytes
    if spec.server is not None:
        message.server = spec.server
    message.parameters.extend(pb.ParameterSpec(name=name, value=value) for name, value in spec.parameters)
    return message


def decode_storage(artifact: Artifact) -> tuple[str, str]:
    """The name of the artifact's secret, and the rclone configuration given in its stead; empty where not given."""
    config = pb.StorageConfig.FromString(artifact.storage)
    return config.storageSecretName, config.storageRcloneConfig


def encode_storage(secret: str) -> bytes:
    """An artifact's `storage` that names a secret; nothing for no name."""
    return pb.StorageConfig(storageSecretName=secret).SerializeToString(deterministic=True) if secret else b""


def redact_model(message: ModelMessage) -> ModelMessage:
    """The message without credentials, in place: what a status may show of a model."""
    spec = message.modelSpec
    spec.uri = redact.uri(spec.uri)
    if spec.storageConfig.HasField("storageRcloneConfig"):
        spec.storageConfig.storageRcloneConfig = redact.HIDDEN
    return message


def decode_replicas(message: pb.DeploymentSpec) -> Replicas:
    """uint32 counts cannot tell unset from 0: 0 is unset, and so is the largest maximum."""
    minimum = message.minReplicas or None
    maximum = None if message.maxReplicas in (0, UNLIMITED) else message.maxReplicas
    return Replicas(wanted=message.replicas or minimum or 1, minimum=minimum, maximum=maximum)


def decode_copies(info: pb.ModelRuntimeInfo) -> int | None:
    """How many times a server holds one model (each worker or CPU instance has its own copy); None: not told."""
    match info.WhichOneof("modelRuntimeInfo"):
        case "mlserver":
            return max(1, info.mlserver.parallelWorkers)
        case "triton":
            return max(1, sum(cpu.instanceCount for cpu in info.triton.cpu))
    return None


def serialize_model(model: Model) -> bytes:
    """For a journal; the counts are kept beside it, as the message cannot tell unset from 0."""
    return encode_model(model).SerializeToString(deterministic=True)


def parse_model(data: bytes, replicas: Replicas) -> Model:
    return decode_model(pb.Model.FromString(data), replicas)
