"""The scheduler's machine: `handle(events, now)` returns what to do, in order.

    facts ──▶ observe (state, event) ──▶ decide (what changed) ──▶ effects ──▶ I/O ──▶ facts

Sans-IO: no socket, clock, log or thread. Events come in batches: many facts, one decision.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never

from modelyard.scheduler import applying, connecting, drain, measuring, reporting
from modelyard.scheduler.decide import answer_applied, decide
from modelyard.scheduler.messages import (
    DrainAsked,
    Effect,
    EndpointProbed,
    Event,
    Journaled,
    ModelApplied,
    ModelDeleted,
    ModelReported,
    ModelsMeasured,
    OffersTold,
    ProbeEndpoint,
    ReplicaLost,
    ReplicaSubscribed,
    RoutesSettled,
    ServerApplied,
    ServerDeleted,
    ServerReported,
    ServersNoticed,
    WakeAt,
)
from modelyard.scheduler.restore import republish, restored
from modelyard.scheduler.settings import Settings
from modelyard.scheduler.state import Gate, State
from modelyard.scheduler.turn import Turn


class Scheduler:
    """Owns its state: nobody else changes it. Read it freely between two calls."""

    def __init__(self, settings: Settings | None = None, journaled: Journaled | None = None) -> None:
        self.settings = settings or Settings()
        self._journaled = journaled or Journaled()
        self.state = State()

    def start(self, now: float, *, rebuild: bool = False, lost: bool = False) -> list[Effect]:
        """Take up what the journal holds. `rebuild`: it is new, so what agents hold is adopted for a while.
        `lost`: there was one before, so gateways may hold routes, which stay until the agents had time to report.
        """
        self.state = restored(self._journaled, self.settings, now)
        if rebuild:
            self.state.rebuild_until = now + self.settings.rebuild_seconds
        if lost:
            self.state.gate = Gate(set(), now + self.settings.restart_wait_seconds, blind=True)
        turn = Turn(now, cause="the scheduler started")
        republish(self.state, turn)
        turn.opened = self.state.gate is None
        return self._finish(turn)

    def handle(self, events: Sequence[Event], now: float) -> list[Effect]:
        """Take in what happened (or only that time has passed) and decide."""
        turn = Turn(now)
        for event in events:
            turn.cause = event.cause
            self._observe(event, turn)
        self._observe_time(turn)
        if self.state.gate is None:
            decide(self.state, turn)
        drain.settle(self.state, turn)
        answer_applied(self.state, turn)
        return self._finish(turn)

    def _observe(self, event: Event, turn: Turn) -> None:
        state = self.state
        match event:
            case ModelApplied():
                applying.apply_model(state, event, turn)
            case ModelDeleted():
                applying.delete_model(state, event, turn)
            case ServersNoticed():
                applying.notice_servers(state, event, turn)
            case ServerApplied():
                applying.apply_server(state, event, turn)
            case ServerDeleted():
                applying.delete_server(state, event, turn)
            case ServerReported():
                turn.note(f"server/{event.name}", event.text)
            case DrainAsked():
                drain.ask(state, event, turn)
            case ReplicaSubscribed():
                connecting.subscribe(state, event, turn)
            case ReplicaLost():
                connecting.lose(state, event, self.settings, turn)
            case ModelReported():
                reporting.report(state, event, turn)
            case ModelsMeasured():
                measuring.measured(state, event, turn)
            case OffersTold():
                connecting.offered(state, event, turn)
            case RoutesSettled():
                _settle_routes(state, event, turn)
            case EndpointProbed():
                connecting.probed(state, event, self.settings, turn)
            case _:
                assert_never(event)

    def _observe_time(self, turn: Turn) -> None:
        """What is due: the gate's bound, unloads to be tried again, suspects to be asked."""
        state = self.state
        gate = state.gate
        if gate is not None and (not (gate.waiting or gate.blind) or turn.now >= gate.deadline):
            turn.cause = "the restart is over"
            if gate.waiting:
                missing = ", ".join(str(id) for id in sorted(gate.waiting))
                for id in sorted(gate.waiting):
                    turn.note(f"server/{id.server}", f"replica {id.index}: not back in time after the restart")
                turn.cause = f"the restart is over without {missing}"
            state.gate = None
            turn.opened = True
            for name in state.models:
                turn.touch(name)
        turn.cause = "time passed"
        for key in [key for key, at in state.retries.items() if at <= turn.now]:
            del state.retries[key]  # with its agent away it is ordered again when the agent is back
            turn.touch(key[0].model)
        if state.gate is None:
            for id in sorted(state.suspects):
                replica = state.replica(id)
                if replica is not None and replica.config is not None and replica.check_at <= turn.now:
                    replica.check_at = turn.now + self.settings.probe_seconds
                    turn.probes.append(ProbeEndpoint(id, replica.config))

    def _finish(self, turn: Turn) -> list[Effect]:
        if turn.endpoints and not turn.routes:
            self.state.route_sequence += 1
        effects = turn.effects(self.state.route_sequence)
        # What is due and still there waits for something else than time.
        wake = min((at for at in self._deadlines() if at > turn.now), default=None)
        return effects if wake is None else [*effects, WakeAt(wake)]

    def _deadlines(self) -> Iterable[float]:
        state = self.state
        if state.gate is not None:
            yield state.gate.deadline
        yield from state.retries.values()
        yield from (drain.deadline for drain in state.drains.values())
        for id in state.suspects:
            replica = state.replica(id)
            if replica is not None and state.gate is None:
                yield replica.check_at


def _settle_routes(state: State, event: RoutesSettled, turn: Turn) -> None:
    for name, sequence in event.live.items():
        record = state.models.get(name)
        if record is not None and sequence > record.live_sequence:
            record.live_sequence = sequence
            if sequence >= record.route_sequence:
                record.route_refusal = ""
            turn.touch(name)
    for name, (sequence, reason) in event.refused.items():
        record = state.models.get(name)
        if record is not None and sequence >= record.route_sequence and record.route_refusal != reason:
            record.route_refusal = reason
            turn.note_model(name, f"a gateway refused its route: {reason}")
            turn.touch(name)
