"""The scheduler's vocabulary: what can happen (events), and what it can order (effects). Read this page first.

Events are facts in the past tense; `cause` says in a few words what brought them about and is kept with every line
of the history that follows from them. Effects are performed strictly in the order given; `Journal` comes before
whatever depends on it. An event with a `ticket` is answered by exactly one `Reply` with that ticket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from modelyard.domain.agent_protocol import ModelEvent, ModelMeasure, ModelVersion, Operation, Subscription
from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import Offers, ReplicaConfig, ServerManifest, ServerNotice
from modelyard.domain.status import ApplyOutcome, Explanation, Note
from modelyard.kit.errors import ModelyardError

# --- events: what its users want -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelApplied:
    model: Model
    ticket: int
    cause: str


@dataclass(frozen=True, slots=True)
class ModelDeleted:
    name: str
    ticket: int
    cause: str


@dataclass(frozen=True, slots=True)
class ServersNoticed:
    """A provider told how many replicas its servers should have."""

    notices: tuple[ServerNotice, ...]
    first_sync: bool
    ticket: int
    cause: str


@dataclass(frozen=True, slots=True)
class ServerApplied:
    manifest: ServerManifest
    ticket: int
    cause: str


@dataclass(frozen=True, slots=True)
class ServerDeleted:
    name: str
    ticket: int
    cause: str


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """A replica wants to stop. `deadline`: seconds since the epoch."""

    replica: ReplicaId
    deadline: float
    ticket: int
    cause: str


# --- events: what agents and proxies told ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReplicaSubscribed:
    """`accounts_for_itself`: a peer that is not ours; its own figure of available memory counts."""

    session: str
    subscription: Subscription
    accounts_for_itself: bool
    cause: str


@dataclass(frozen=True, slots=True)
class ReplicaLost:
    """The Subscribe stream of that session ended."""

    replica: ReplicaId
    session: str
    cause: str


@dataclass(frozen=True, slots=True)
class ModelReported:
    session: str
    event: ModelEvent
    cause: str


@dataclass(frozen=True, slots=True)
class ModelsMeasured:
    replica: ReplicaId
    session: str
    measures: tuple[ModelMeasure, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class OffersTold:
    """How gateways may reach the replica beside its ports, from now on."""

    replica: ReplicaId
    session: str
    offers: Offers
    cause: str


@dataclass(frozen=True, slots=True)
class RoutesSettled:
    """Proxies reached these versions of these routes, or refused them."""

    live: Mapping[str, int]
    refused: Mapping[str, tuple[int, str]]
    cause: str


@dataclass(frozen=True, slots=True)
class EndpointProbed:
    replica: ReplicaId
    alive: bool
    cause: str


@dataclass(frozen=True, slots=True)
class ServerReported:
    """A provider said what it cannot do."""

    name: str
    text: str
    cause: str


Event: TypeAlias = (
    ModelApplied
    | ModelDeleted
    | ServersNoticed
    | ServerApplied
    | ServerDeleted
    | DrainAsked
    | ReplicaSubscribed
    | ReplicaLost
    | ModelReported
    | ModelsMeasured
    | OffersTold
    | RoutesSettled
    | EndpointProbed
    | ServerReported
)

# --- what is written down --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutModel:
    name: str
    latest: int
    deleting: bool


@dataclass(frozen=True, slots=True)
class DropModel:
    """Leaves a tombstone: version numbers are never used again for a name."""

    name: str
    latest: int


@dataclass(frozen=True, slots=True)
class PutVersion:
    version: ModelVersion
    took_over: bool


@dataclass(frozen=True, slots=True)
class DropVersion:
    version: VersionId


@dataclass(frozen=True, slots=True)
class PutAssignment:
    """`loaded`: the agent said so; `leaving`: it is on its way out."""

    version: VersionId
    replica: ReplicaId
    loaded: bool
    leaving: bool


@dataclass(frozen=True, slots=True)
class DropAssignment:
    version: VersionId
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class PutReplica:
    replica: ReplicaId
    config: ReplicaConfig
    shared: bool


@dataclass(frozen=True, slots=True)
class DropReplica:
    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class PutServer:
    """None: what was told before is withdrawn."""

    name: str
    notice: ServerNotice | None
    manifest: ServerManifest | None


@dataclass(frozen=True, slots=True)
class DropServer:
    name: str


@dataclass(frozen=True, slots=True)
class PutSize:
    """What an artifact was measured to take, under its key (`sizes.py`); the latest of all."""

    artifact: str
    measured_bytes: int


@dataclass(frozen=True, slots=True)
class DropSize:
    artifact: str


Write: TypeAlias = (
    PutModel
    | DropModel
    | PutVersion
    | DropVersion
    | PutAssignment
    | DropAssignment
    | PutReplica
    | DropReplica
    | PutServer
    | DropServer
    | PutSize
    | DropSize
)


@dataclass(frozen=True, slots=True)
class Journaled:
    """Everything a journal holds: what a restarted scheduler starts from."""

    models: tuple[PutModel, ...] = ()
    tombstones: Mapping[str, int] = field(default_factory=dict)
    versions: tuple[PutVersion, ...] = ()
    assignments: tuple[PutAssignment, ...] = ()
    replicas: tuple[PutReplica, ...] = ()
    servers: tuple[PutServer, ...] = ()
    sizes: tuple[PutSize, ...] = ()  # the latest last


# --- effects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Journal:
    """Durable before the next effect is performed."""

    writes: tuple[Write, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """An order to an agent; lost without harm when the session is over."""

    replica: ReplicaId
    session: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class CloseSession:
    replica: ReplicaId
    session: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServingVersion:
    """One answer to a route: a version and the replicas on which it is loaded."""

    version: VersionId
    replicas: frozenset[ReplicaId]


@dataclass(frozen=True, slots=True)
class PublishRoutes:
    """`endpoints`: replicas that are new, moved or (None) gone. `routes`: None takes the route away."""

    sequence: int
    routes: Mapping[str, ServingVersion | None]
    endpoints: Mapping[ReplicaId, ReplicaConfig | None]


@dataclass(frozen=True, slots=True)
class ProbeEndpoint:
    """Does anything still answer there? Ends in `EndpointProbed`."""

    replica: ReplicaId
    config: ReplicaConfig


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    outcome: ApplyOutcome
    version: int
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class DrainAnswer:
    success: bool


@dataclass(frozen=True, slots=True)
class Done:
    outcome: ApplyOutcome = ApplyOutcome.UNCHANGED


Answer: TypeAlias = ModelAnswer | DrainAnswer | Done | ModelyardError


@dataclass(frozen=True, slots=True)
class Reply:
    ticket: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """Whoever watches these should look again."""

    models: frozenset[str]
    servers: frozenset[str]


@dataclass(frozen=True, slots=True)
class ManifestsChanged:
    """Providers should hear what is wanted now."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The agents known before the restart have reported, or the bound has passed: decisions are free."""


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Call `handle` again at that time, with whatever has happened or nothing."""

    time: float


Effect: TypeAlias = (
    Journal
    | Send
    | CloseSession
    | PublishRoutes
    | ProbeEndpoint
    | Reply
    | StatusChanged
    | ManifestsChanged
    | Opened
    | WakeAt
)
