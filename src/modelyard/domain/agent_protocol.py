"""What scheduler and agents say to each other, in our own nouns (`proto/seldon/mlops/agent/agent.proto`)."""

from dataclasses import dataclass
from enum import Enum, auto

from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model with its version: all that an agent needs to load it."""

    model: Model
    version: int

    @property
    def id(self) -> VersionId:
        return VersionId(self.model.name, self.version)


@dataclass(frozen=True, slots=True)
class Subscription:
    """An agent presents its replica: the first message of a session."""

    replica: ReplicaId
    config: ReplicaConfig
    shared: bool = True
    loaded: tuple[ModelVersion, ...] = ()
    available_bytes: int = 0


class OperationKind(Enum):
    LOAD = auto()
    UNLOAD = auto()


@dataclass(frozen=True, slots=True)
class Operation:
    """An order to an agent."""

    kind: OperationKind
    model_version: ModelVersion
    autoscaling: bool = False


class ModelEventKind(Enum):
    LOADED = auto()
    LOAD_FAILED = auto()
    LOAD_FAIL_MEMORY = auto()
    UNLOADED = auto()
    UNLOAD_FAILED = auto()
    REMOVED = auto()
    REMOVE_FAILED = auto()
    RSYNC = auto()


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """What became of one version on one replica. `version` is None for an RSYNC of everything.

    `copies`: how many times the server holds the model (parallel workers, instances); None: not told.
    """

    replica: ReplicaId
    kind: ModelEventKind
    version: VersionId | None
    message: str = ""
    available_bytes: int = 0
    copies: int | None = None


@dataclass(frozen=True, slots=True)
class ModelMeasure:
    """Our agents' report about one version (`modelyard.v1.ModelReport`). None: not known.

    `note`: what its user should know, one sentence. `fetched_bytes`: None where no download is under way.
    """

    version: VersionId
    measured_bytes: int | None = None
    resident: bool = True
    last_used: float | None = None
    load_ms: int | None = None
    note: str = ""
    fetched_bytes: int | None = None
    fetch_total_bytes: int | None = None
