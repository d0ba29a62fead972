"""What the scheduler knows: models and their versions, servers and their replicas, and who holds what.

Mutated in place by `observe` and `decide` only. An `Assignment` stands in two indexes, its version's and its
replica's; `assign` and `unassign` keep them, and the replica's sum of bytes, together.

    REQUESTED ──sent──▶ LOADING ──LOADED──▶ LOADED ──not wanted──▶ LEAVING ──route gone──▶ UNLOADING ──▶ (none)
        ▲                  │                  │                                                │  ▲
        └── session lost ──┴──LOAD_FAILED──▶ FAILED                              UNLOAD_FAILED ▼  │ retried
                                                                                          UNLOAD_FAILED
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from modelyard.domain.agent_protocol import ModelVersion
from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig, ServerManifest, ServerNotice
from modelyard.domain.status import ModelState
from modelyard.scheduler.messages import ServingVersion
from modelyard.scheduler.sizes import Size, artifact_key


class Phase(Enum):
    REQUESTED = auto()  # assigned; the order is not sent, for want of a session
    LOADING = auto()  # the order is sent
    LOADED = auto()  # the agent said so
    FAILED = auto()  # the agent could not; not tried there again until something changes
    LEAVING = auto()  # not wanted; the proxies still may route to it
    UNLOADING = auto()  # the order is sent, or will be with the next session
    UNLOAD_FAILED = auto()  # to be tried again; its bytes count


HOLDING = frozenset({Phase.REQUESTED, Phase.LOADING, Phase.LOADED})
GOING = frozenset({Phase.LEAVING, Phase.UNLOADING, Phase.UNLOAD_FAILED})


@dataclass(slots=True)
class Assignment:
    """One version on one replica."""

    version: VersionId
    replica: ReplicaId
    since: float
    accounted_bytes: int = 0
    phase: Phase = Phase.REQUESTED
    reason: str = ""
    measured_bytes: int | None = None
    resident: bool | None = None
    note: str = ""  # what its user should know of it there
    fetched_bytes: int | None = None  # of its files, while they are on their way
    fetch_total_bytes: int | None = None
    lacked_memory: bool = False  # FAILED for want of memory: worth another try when some is freed
    routed_at: int | None = None  # the route sequence with which it entered the published route
    left_at: int = 0  # the route sequence that no longer names it
    retry_at: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class Version:
    """One version of a model. `took_over`: it has been the one that serves."""

    model: Model
    number: int
    took_over: bool = False
    copies: int = 1
    assignments: dict[ReplicaId, Assignment] = field(default_factory=dict)
    # Why it could not be placed, by replica; empty when it could.
    refusals: dict[ReplicaId, str] = field(default_factory=dict)
    unplaceable: str = ""
    state: ModelState = ModelState.UNKNOWN
    state_reason: str = ""
    state_since: float = 0.0

    @property
    def id(self) -> VersionId:
        return VersionId(self.model.name, self.number)

    @property
    def autoscaled(self) -> bool:
        return self.model.replicas.maximum is not None or self.model.replicas.minimum == 0

    def model_version(self) -> ModelVersion:
        return ModelVersion(self.model, self.number)

    def in_phase(self, *phases: Phase) -> list[Assignment]:
        return [a for a in self.assignments.values() if a.phase in phases]


@dataclass(slots=True)
class ModelRecord:
    """A model: its versions by number (the last one is what is wanted), and its route as published and as live."""

    name: str
    latest: int
    deleting: bool = False
    versions: dict[int, Version] = field(default_factory=dict)
    route: ServingVersion | None = None
    route_sequence: int = 0
    live_sequence: int = 0
    route_refusal: str = ""

    @property
    def wanted(self) -> Version:
        return self.versions[self.latest]

    def assignments(self) -> Iterator[Assignment]:
        for version in self.versions.values():
            yield from version.assignments.values()


class Link(Enum):
    EXPECTED = auto()  # told of by a provider; never heard of
    CONNECTED = auto()
    SUSPECT = auto()  # its agent is lost; the server may well go on answering


@dataclass(slots=True)
class Replica:
    """One server replica as last heard of."""

    id: ReplicaId
    link: Link = Link.EXPECTED
    since: float = 0.0
    config: ReplicaConfig | None = None
    shared: bool = True
    session: str = ""
    accounts_for_itself: bool = False
    reported_available: int = 0
    check_at: float = 0.0  # SUSPECT: when to ask whether its endpoint still answers
    draining: bool = False
    assigned_bytes: int = 0
    assignments: dict[VersionId, Assignment] = field(default_factory=dict)

    @property
    def free_bytes(self) -> int:
        """What may still be assigned. A peer that accounts for itself has the last word, less what is on its way."""
        if self.config is None:
            return 0
        free = self.config.assignable_bytes - self.assigned_bytes
        if self.accounts_for_itself:
            coming = sum(
                a.accounted_bytes for a in self.assignments.values() if a.phase in (Phase.REQUESTED, Phase.LOADING)
            )
            free = min(free, self.reported_available - coming)
        return free


@dataclass(slots=True)
class Server:
    name: str
    notice: ServerNotice | None = None
    manifest: ServerManifest | None = None
    replicas: dict[int, Replica] = field(default_factory=dict)

    @property
    def given_up(self) -> bool:
        """Its provider wants no replica of it."""
        return self.notice is not None and self.notice.expected_replicas == 0


@dataclass(slots=True)
class Gate:
    """After a restart: nothing is decided until these have reported, or the bound has passed.

    `blind`: the journal was lost, so whom to wait for is not known until a provider's first notice.
    """

    waiting: set[ReplicaId]
    deadline: float
    blind: bool = False


@dataclass(slots=True)
class Drain:
    deadline: float
    tickets: list[int]


@dataclass(slots=True)
class State:
    models: dict[str, ModelRecord] = field(default_factory=dict)
    tombstones: dict[str, int] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    route_sequence: int = 0
    gate: Gate | None = None
    rebuild_until: float = 0.0  # until then models unknown to us are adopted from agents
    unplaced: dict[str, None] = field(default_factory=dict)  # models with an unmet want, oldest first
    retries: dict[tuple[VersionId, ReplicaId], float] = field(default_factory=dict)  # failed unloads
    suspects: set[ReplicaId] = field(default_factory=set)
    drains: dict[ReplicaId, Drain] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # measured, by artifact (`sizes.py`), the latest last

    def replica(self, id: ReplicaId) -> Replica | None:
        server = self.servers.get(id.server)
        return server.replicas.get(id.index) if server else None

    def replicas(self) -> Iterator[Replica]:
        for server in self.servers.values():
            yield from server.replicas.values()

    def version(self, id: VersionId) -> Version | None:
        record = self.models.get(id.model)
        return record.versions.get(id.version) if record else None

    def assignment(self, version: VersionId, replica: ReplicaId) -> Assignment | None:
        found = self.replica(replica)
        return found.assignments.get(version) if found else None

    def size(self, version: Version) -> Size:
        """What the version needs where it has not been measured itself."""
        spec = version.model.spec
        return Size(spec.memory_bytes, self.sizes.get(artifact_key(spec.artifact)), version.copies)

    def needed_bytes(self, version: Version, replica: Replica) -> int:
        return self.size(version).needed_bytes(as_declared=replica.accounts_for_itself)

    def assign(self, version: Version, replica: Replica, now: float) -> Assignment:
        """Put a version on a replica. A failed try there is forgotten."""
        old = replica.assignments.get(version.id)
        assert old is None or old.phase is Phase.FAILED, f"{version.id} is already on {replica.id}"
        needed = self.needed_bytes(version, replica)
        assignment = Assignment(version.id, replica.id, now, accounted_bytes=needed)
        replica.assignments[version.id] = version.assignments[replica.id] = assignment
        replica.assigned_bytes += assignment.accounted_bytes
        return assignment

    def unassign(self, assignment: Assignment) -> None:
        replica, version = self.replica(assignment.replica), self.version(assignment.version)
        assert replica is not None
        assert version is not None
        self.account(assignment, 0)
        del replica.assignments[assignment.version]
        del version.assignments[assignment.replica]
        self.retries.pop((assignment.version, assignment.replica), None)

    def account(self, assignment: Assignment, bytes: int) -> None:
        """Change what an assignment counts on its replica."""
        replica = self.replica(assignment.replica)
        assert replica is not None
        replica.assigned_bytes += bytes - assignment.accounted_bytes
        assignment.accounted_bytes = bytes
