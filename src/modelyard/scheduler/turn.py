"""One call of `handle`: what it collects on the way to its effects."""

from dataclasses import dataclass, field

from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ReplicaConfig
from modelyard.domain.status import ApplyOutcome, Note
from modelyard.scheduler.messages import (
    Answer,
    CloseSession,
    Effect,
    Journal,
    ManifestsChanged,
    Opened,
    ProbeEndpoint,
    PublishRoutes,
    Reply,
    Send,
    ServingVersion,
    StatusChanged,
    Write,
)


@dataclass(slots=True)
class Turn:
    """`dirty`: models to decide on, each with what brought that about. `applied`: who waits for a model's outcome."""

    now: float
    cause: str = ""
    dirty: dict[str, str] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    closings: list[CloseSession] = field(default_factory=list)
    routes: dict[str, ServingVersion | None] = field(default_factory=dict)
    endpoints: dict[ReplicaId, ReplicaConfig | None] = field(default_factory=dict)
    sends: list[Send] = field(default_factory=list)
    probes: list[ProbeEndpoint] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    applied: list[tuple[int, str, ApplyOutcome]] = field(default_factory=list)
    models_changed: set[str] = field(default_factory=set)
    servers_changed: set[str] = field(default_factory=set)
    manifests_changed: bool = False
    opened: bool = False

    def touch(self, model: str) -> None:
        """Decide on this model before the turn ends."""
        self.dirty.setdefault(model, self.cause)

    def note(self, subject: str, text: str) -> None:
        self.notes.append(Note(self.now, subject, text, self.cause))

    def note_model(self, model: str, text: str) -> None:
        self.note(f"model/{model}", text)
        self.models_changed.add(model)

    def note_server(self, replica: ReplicaId, text: str) -> None:
        self.note(f"server/{replica.server}", f"replica {replica.index}: {text}")
        self.servers_changed.add(replica.server)

    def reply(self, ticket: int, answer: Answer) -> None:
        self.replies.append(Reply(ticket, answer))

    def effects(self, route_sequence: int) -> list[Effect]:
        """In the order that keeps the promises: write down, then tell the proxies, then the agents, then who asked."""
        effects: list[Effect] = []
        if self.writes or self.notes:
            effects.append(Journal(tuple(self.writes), tuple(self.notes)))
        effects += self.closings
        if self.routes or self.endpoints:
            effects.append(PublishRoutes(route_sequence, self.routes, self.endpoints))
        effects += self.sends
        effects += self.probes
        effects += self.replies
        if self.models_changed or self.servers_changed:
            effects.append(StatusChanged(frozenset(self.models_changed), frozenset(self.servers_changed)))
        if self.manifests_changed:
            effects.append(ManifestsChanged())
        if self.opened:
            effects.append(Opened())
        return effects
