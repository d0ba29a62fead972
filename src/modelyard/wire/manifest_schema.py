"""The fields of `Model` and `Server` manifests (behaviour.md §1.1, §2.1) and what may stand in them.

Every field of the CRDs is known, so that manifests written for the reference are taken as they are.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from modelyard.kit.errors import InvalidInput
from modelyard.wire.quantities import parse_bytes

API_VERSION = "mlops.seldon.io/v1alpha1"


def _bytes(value: Any) -> Any:
    if value is None:
        return None
    try:
        return parse_bytes(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


Bytes = Annotated[int | None, BeforeValidator(_bytes)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Unsigned = Annotated[int, Field(ge=0, le=2**32 - 1)]


class Part(BaseModel):
    """Strict: nothing is converted, so that `"3"` is no number. A field that is null counts as left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Metadata(Part):
    """A Kubernetes ObjectMeta; only the first three mean something here."""

    name: str
    namespace: str | None = None
    generation: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    labels: JsonValue = None
    annotations: JsonValue = None
    uid: JsonValue = None
    resourceVersion: JsonValue = None
    creationTimestamp: JsonValue = None
    deletionTimestamp: JsonValue = None
    deletionGracePeriodSeconds: JsonValue = None
    finalizers: JsonValue = None
    generateName: JsonValue = None
    managedFields: JsonValue = None
    ownerReferences: JsonValue = None
    selfLink: JsonValue = None


class Logger(Part):
    percent: Unsigned | None = None


class Reference(Part):
    """What an LLM runtime refers to."""

    modelRef: str | None = None
    pipelineRef: str | None = None


class Explainer(Reference):
    type: str


class Parameter(Part):
    name: str
    value: str


class Dataflow(Part):
    cleanTopicsOnDelete: bool | None = None


class Counted(Part):
    replicas: Count | None = None
    minReplicas: Count | None = None
    maxReplicas: Count | None = None


class ModelSpec(Counted):
    storageUri: Annotated[str, Field(min_length=1)]
    artifactVersion: Unsigned | None = None
    modelType: str | None = None
    schemaUri: str | None = None
    secretName: str | None = None
    requirements: list[str] | None = None
    memory: Bytes = None
    server: str | None = None
    preloaded: bool | None = None
    dedicated: bool | None = None
    logger: Logger | None = None
    explainer: Explainer | None = None
    llm: Reference | None = None
    parameters: list[Parameter] | None = None
    dataflow: Dataflow | None = None


class ServerSpec(Counted):
    serverConfig: str | None = None
    capabilities: list[str] | None = None
    extraCapabilities: list[str] | None = None
    imageOverrides: dict[str, JsonValue] | None = None
    podSpec: dict[str, JsonValue] | None = None
    statefulSetPersistentVolumeClaimRetentionPolicy: dict[str, JsonValue] | None = None
    deploymentStrategy: dict[str, JsonValue] | None = None
    disableAutoUpdate: bool | None = None


class ModelManifest(Part):
    apiVersion: str
    kind: Literal["Model"]
    metadata: Metadata
    spec: ModelSpec
    status: JsonValue = None


class ServerManifest(Part):
    apiVersion: str
    kind: Literal["Server"]
    metadata: Metadata
    spec: ServerSpec = ServerSpec()
    status: JsonValue = None
