"""The agent's decisions: what is in the memory and on the disk of one inference server.

Sans-IO. The agent owns its state and changes it in place; `handle` returns the effects to perform, in order. Every
order of the scheduler is answered by exactly one event (`Tell`), unless a later order for the same version overtook
it, or its session ended. The phases and what leads from one to the next: `phases.py`; the words: `messages.py`.

    event ──▶ check ──▶ adopting, orders, outcomes or sizing ──▶ settling ──▶ effects
                                   change state, add effects
"""

from collections.abc import Iterable, Mapping

from modelyard.agent import adopting, orders, outcomes, settling, sizing
from modelyard.agent.assignments import Entry
from modelyard.agent.ledger import Ledger
from modelyard.agent.messages import (
    Effect,
    Event,
    Fetched,
    FetchFailed,
    Loaded,
    LoadFailed,
    LoadOrdered,
    Measured,
    Restored,
    ServerDown,
    ServerReady,
    SessionLost,
    SessionOpened,
    Unloaded,
    UnloadFailed,
    UnloadOrdered,
)
from modelyard.agent.phases import TRANSITIONS, Phase
from modelyard.agent.state import State
from modelyard.domain.agent_protocol import ModelMeasure, Subscription
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig

# A small model measures next to nothing, and still costs its server something.
LEAST_MEASURED_BYTES = 64 << 10


class IllegalEvent(Exception):
    """The event cannot happen in this phase: a bug in the caller, never in the cluster.

    It changed nothing; `effects` are those of the events before it in the same batch, still to be performed.
    """

    def __init__(self, sentence: str, effects: tuple[Effect, ...]) -> None:
        super().__init__(sentence)
        self.effects = effects


class Agent:
    """The agent of one replica.

    `copies`: how many times its server holds each model (parallel workers); None where it holds one and says nothing.
    """

    def __init__(
        self,
        replica: ReplicaId,
        config: ReplicaConfig,
        *,
        shared: bool = True,
        copies: int | None = None,
        least_measured_bytes: int = LEAST_MEASURED_BYTES,
    ) -> None:
        self._state = State(replica, config, shared=shared, copies=copies, least_measured_bytes=least_measured_bytes)
        self._started = False

    # What may be asked ------------------------------------------------------------------------------------------

    @property
    def replica(self) -> ReplicaId:
        return self._state.replica

    @property
    def entries(self) -> Mapping[VersionId, Entry]:
        return self._state.entries

    @property
    def ledger(self) -> Ledger:
        return self._state.ledger

    @property
    def session(self) -> str | None:
        return self._state.session

    @property
    def server_up(self) -> bool:
        return self._state.server_up

    @property
    def stale_orders(self) -> int:
        return self._state.stale_orders

    def subscription(self) -> Subscription:
        """How the agent would present its replica now."""
        return self._state.subscription()

    def take_measures(self) -> tuple[ModelMeasure, ...]:
        """What is known of the versions that changed since this was last asked."""
        it = self._state.assignments
        changed, it.changed = it.changed, set()
        parted, it.parted = it.parted, {}
        here = [
            ModelMeasure(
                version=version,
                measured_bytes=entry.measured_bytes,
                resident=entry.phase is Phase.LOADED,
                load_ms=entry.load_ms,
                note=entry.note,
            )
            for version in sorted(changed)
            if (entry := self.entries.get(version)) is not None
        ]
        gone = [ModelMeasure(version, size, resident=False) for version, size in sorted(parted.items())]
        return (*here, *gone)

    def tell_all(self) -> None:
        """Whoever heard of the versions may not have listened."""
        self._state.assignments.changed.update(self.entries)

    def give_back(self, measures: Iterable[ModelMeasure]) -> None:
        """They were not told after all."""
        for it in measures:
            if it.version in self.entries:
                self._state.assignments.changed.add(it.version)
            elif it.measured_bytes is not None:
                self._state.assignments.parted[it.version] = it.measured_bytes

    # Events in, effects out -------------------------------------------------------------------------------------

    def handle(self, events: Iterable[Event], now: float) -> list[Effect]:
        """Raises `IllegalEvent`."""
        self._state.effects = []
        self._state.now = now
        for event in events:
            self._check(event)
            self._observe(event)
            self._started = True
            settling.settle(self._state)
        return self._state.effects

    def _check(self, event: Event) -> None:
        match event:
            case LoadOrdered() | UnloadOrdered() | SessionOpened() | SessionLost():
                return
            case ServerReady() | ServerDown() | Measured():
                return
            case Restored():
                where, legal = "the agent has started", not self._started
            case _:
                entry = self.entries.get(event.version)
                where = entry.phase.name if entry else "not here"
                legal = ((entry.phase if entry else None), type(event)) in TRANSITIONS
        if not legal:
            raise IllegalEvent(f"{event} while {where}", tuple(self._state.effects))

    def _observe(self, event: Event) -> None:
        state = self._state
        match event:
            case Restored():
                adopting.restored(state, event)
            case ServerReady():
                adopting.server_ready(state, event)
            case ServerDown():
                adopting.server_down(state)
            case Measured():
                sizing.measured(state, event)
            case SessionOpened(session):
                adopting.session_opened(state, session)
            case SessionLost(session):
                state.session = None if state.session == session else state.session
            case LoadOrdered(session) | UnloadOrdered(session) if session != state.session:
                state.stale_orders += 1
            case LoadOrdered():
                orders.load_ordered(state, event.model_version)
            case UnloadOrdered(_, version):
                orders.unload_ordered(state, version)
            case Fetched() | FetchFailed():
                outcomes.fetch_ended(state, event)
            case Loaded():
                outcomes.loaded(state, event)
            case LoadFailed():
                outcomes.load_failed(state, event)
            case Unloaded(version):
                outcomes.gone(state, state.entries[version], Unloaded)
            case UnloadFailed():
                outcomes.unload_failed(state, event)
