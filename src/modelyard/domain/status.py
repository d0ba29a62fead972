"""How models, servers and replicas are doing, in the words of the protocol."""

from dataclasses import dataclass
from enum import Enum

from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig, ServerManifest, ServerNotice


class ModelState(Enum):
    """The state of a model version; values are the names in the protocol."""

    UNKNOWN = "ModelStateUnknown"
    PROGRESSING = "ModelProgressing"
    AVAILABLE = "ModelAvailable"
    FAILED = "ModelFailed"
    TERMINATING = "ModelTerminating"
    TERMINATED = "ModelTerminated"
    TERMINATE_FAILED = "ModelTerminateFailed"
    SCHEDULE_FAILED = "ScheduleFailed"
    SCALED_DOWN = "ModelScaledDown"


class ReplicaModelState(Enum):
    """The state of a model version on one replica; values are the names in the protocol."""

    UNKNOWN = "ModelReplicaStateUnknown"
    LOAD_REQUESTED = "LoadRequested"
    LOADING = "Loading"
    LOADED = "Loaded"
    LOAD_FAILED = "LoadFailed"
    UNLOAD_REQUESTED = "UnloadRequested"
    UNLOADING = "Unloading"
    UNLOADED = "Unloaded"
    UNLOAD_FAILED = "UnloadFailed"
    AVAILABLE = "Available"
    LOADED_UNAVAILABLE = "LoadedUnavailable"
    UNLOAD_ENVOY_REQUESTED = "UnloadEnvoyRequested"
    DRAINING = "Draining"


class ReplicaState(Enum):
    """What the scheduler knows of a replica."""

    EXPECTED = "expected"
    CONNECTED = "connected"
    SUSPECT = "suspect"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class ReplicaModelStatus:
    """One version on one replica. `changed_at` in seconds since the epoch.

    `note`: what its user should know of it there. `fetched_bytes`: None where its files are not being fetched.
    """

    version: VersionId
    replica: ReplicaId
    state: ReplicaModelState
    reason: str
    changed_at: float
    accounted_bytes: int = 0
    measured_bytes: int | None = None
    resident: bool | None = None
    note: str = ""
    fetched_bytes: int | None = None
    fetch_total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version of a model, over all its replicas."""

    version: int
    server: str
    state: ModelState
    reason: str
    available_replicas: int
    unavailable_replicas: int
    changed_at: float
    model: Model
    replicas: tuple[ReplicaModelStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model with the versions that are asked for, oldest first."""

    name: str
    versions: tuple[VersionStatus, ...]
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One server replica and what is on it."""

    replica: ReplicaId
    state: ReplicaState
    reason: str
    since: float
    config: ReplicaConfig | None
    assigned_bytes: int = 0
    models: tuple[ReplicaModelStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server and its replicas."""

    name: str
    shared: bool
    notice: ServerNotice | None
    manifest: ServerManifest | None
    replicas: tuple[ReplicaStatus, ...] = ()


class ApplyOutcome(Enum):
    CREATED = "created"
    UNCHANGED = "unchanged"
    RESCHEDULED = "rescheduled"
    NEW_VERSION = "new version"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one replica has to say about a model: its state there, or why it is not there."""

    replica: ReplicaId
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a model is or would be, or why nowhere."""

    summary: str
    placed: bool
    server: str = ""
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the event history. `subject` is "model/NAME" or "server/NAME"; `cause` says what brought it about."""

    time: float
    subject: str
    text: str
    cause: str
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """One proxy as its driver sees it."""

    id: str
    connected: bool
    since: float
    config_version: str = ""


@dataclass(frozen=True, slots=True)
class RefusedResource:
    """A resource that a gateway refused."""

    gateway: str
    resource: str
    reason: str


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """The scheduler and its gateways. `waiting_for`: empty once it decides freely."""

    version: str
    started: float
    waiting_for: str = ""
    gateways: tuple[GatewayStatus, ...] = ()
    refusals: tuple[RefusedResource, ...] = ()
    warnings: tuple[str, ...] = ()
    providers: int = 0
