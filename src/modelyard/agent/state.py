"""What the agent knows of its replica, and the steps that every decision is made of. Pure."""

from modelyard.agent.assignments import Assignments, Entry
from modelyard.agent.ledger import Ledger
from modelyard.agent.messages import CheckServer, Effect, Forget, Save, Tell
from modelyard.agent.phases import Phase
from modelyard.domain.agent_protocol import ModelEvent, ModelEventKind, ModelVersion, Subscription
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.kit.sizes import quantity


class State:
    """What one agent knows, and the effects that it has collected since it was last asked.

    `copies`: how many times its server holds each model (parallel workers); None where it holds one and says nothing.
    `damaged`: the state on disk was, and nobody has been told yet. `now`: the time of the events that are handled.
    """

    def __init__(
        self,
        replica: ReplicaId,
        config: ReplicaConfig,
        *,
        shared: bool,
        copies: int | None,
        least_measured_bytes: int,
    ) -> None:
        self.replica = replica
        self.config = config
        self.shared = shared
        self.copies = copies
        self.least_measured_bytes = least_measured_bytes
        self.ledger = Ledger(config.memory_bytes, config.overcommit_percent)
        self.assignments = Assignments(self.ledger)
        self.entries = self.assignments.entries
        self.session: str | None = None
        self.server_up = False
        self.stale_orders = 0
        self.damaged = False
        self.now = 0.0
        self.effects: list[Effect] = []

    def subscription(self) -> Subscription:
        """How the agent would present its replica now."""
        loaded = (e.model_version for e in self.entries.values() if e.phase is Phase.LOADED)
        return Subscription(self.replica, self.config, self.shared, tuple(loaded), self.ledger.available_bytes)

    def enter(self, model_version: ModelVersion, phase: Phase, cause: type) -> Entry:
        return self.assignments.enter(model_version, phase, cause, self.need(model_version), self.now)

    def move(self, entry: Entry, phase: Phase, cause: type) -> None:
        self.assignments.move(entry, phase, cause, self.now)

    def exit(self, entry: Entry, cause: type) -> None:
        self.assignments.exit(entry, cause)
        self.effects.append(Forget(entry.model_version.id))

    def fail(self, entry: Entry, kind: ModelEventKind, sentence: str, cause: type) -> None:
        self.exit(entry, cause)
        self.answer(entry.model_version.id, kind, sentence)

    def lost_server(self) -> None:
        self.server_up = False  # until it has been looked at
        self.effects.append(CheckServer())

    def holds(self, entry: Entry, copies: int | None) -> None:
        """How many times the server will hold it is known: all of them count."""
        if copies is not None and copies != entry.copies:
            entry.copies = copies
            self.assignments.need(entry, self.need(entry.model_version, copies))

    def saved(self, entry: Entry) -> Save:
        return Save(entry.model_version, entry.artifact, entry.measured_bytes)

    def need(self, model_version: ModelVersion, copies: int | None = None) -> int:
        return (model_version.model.spec.memory_bytes or 0) * (copies or self.copies or 1)

    def declared(self, entry: Entry) -> str:
        size = entry.model_version.model.spec.memory_bytes
        return "none" if size is None else quantity(self.need(entry.model_version, entry.copies))

    def no_room(self, version: VersionId, need: int) -> str:
        ledger = self.ledger
        used = ledger.in_memory_bytes if version in self.entries else ledger.assigned_bytes
        free = quantity(max(0, ledger.memory_bytes - used))
        return (
            f"{version} needs {quantity(need)} of memory; "
            f"{self.replica} has {free} free of {quantity(ledger.memory_bytes)}"
        )

    def answer(self, version: VersionId, kind: ModelEventKind, sentence: str = "") -> None:
        self.tell(kind, version, sentence)

    def tell(self, kind: ModelEventKind, version: VersionId | None, sentence: str) -> None:
        if self.session is None:
            return
        entry = self.entries.get(version) if version is not None else None
        copies = (entry and entry.copies) or self.copies if kind is ModelEventKind.LOADED else None
        event = ModelEvent(self.replica, kind, version, sentence, self.ledger.available_bytes, copies)
        self.effects.append(Tell(self.session, event))
