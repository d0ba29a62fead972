"""A model as its user wants it."""

from dataclasses import dataclass, replace

from modelyard.kit import redact

DEFAULT_REPLICAS = 1


@dataclass(frozen=True, slots=True, repr=False)
class Artifact:
    """Where a model's files are. `storage` is opaque: the secret or rclone configuration as it came."""

    uri: str
    version: int | None = None
    storage: bytes = b""

    @property
    def shown(self) -> str:
        """The uri without credentials: for logs, histories and sentences."""
        return redact.uri(self.uri)

    def __repr__(self) -> str:
        return f"Artifact(uri={self.shown!r}, version={self.version!r}{', storage=…' if self.storage else ''})"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What makes a version: when any of this differs, it is a new version of the model.

    `carried` holds what we do not act on (explainer, llm and fields newer than ours), serialised, so that it
    is kept, compared and sent on.
    """

    artifact: Artifact
    requirements: frozenset[str] = frozenset()
    memory_bytes: int | None = None
    server: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    explainer_type: str | None = None
    carried: bytes = b""

    def same_but_size(self, other: "ModelSpec") -> bool:
        """Whether it is loaded the same: an order carries the size that is known by now, not the declared one."""
        return self == other or replace(self, memory_bytes=other.memory_bytes) == other


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many are wanted. `minimum` None: all or nothing. `minimum` 0, written out: may scale to zero.
    `maximum` None: not autoscaled."""

    wanted: int = DEFAULT_REPLICAS
    minimum: int | None = None
    maximum: int | None = None

    def problem(self) -> str | None:
        """Why these counts contradict each other; None where they do not."""
        if self.wanted < 1:
            return "replicas must be at least 1; to let a model scale to zero set minReplicas: 0"
        if self.minimum is not None and self.wanted < self.minimum:
            return f"replicas {self.wanted} is below minReplicas {self.minimum}"
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            return f"minReplicas {self.minimum} is above maxReplicas {self.maximum}"
        if self.maximum is not None and self.wanted > self.maximum:
            return f"replicas {self.wanted} is above maxReplicas {self.maximum}"
        return None

    @property
    def enough(self) -> int:
        """The fewest replicas with which the model counts as scheduled."""
        return self.wanted if not self.minimum else self.minimum


@dataclass(frozen=True, slots=True)
class Model:
    """A model as applied. `carried`: the other fields of the message (streams, dataflow, logging, metadata)."""

    name: str
    spec: ModelSpec
    replicas: Replicas = Replicas()
    kubernetes_namespace: str = ""
    kubernetes_generation: int = 0
    carried: bytes = b""
