"""What agents told of their models: loaded, failed, unloaded. Part of `observe`."""

from modelyard.domain.agent_protocol import ModelEvent, ModelEventKind, ModelVersion
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.names import VersionId
from modelyard.scheduler.connecting import take_in, unload_stranger
from modelyard.scheduler.messages import DropAssignment, ModelReported
from modelyard.scheduler.orders import load_order
from modelyard.scheduler.releasing import account, gone
from modelyard.scheduler.state import (
    HOLDING,
    Assignment,
    Phase,
    Replica,
    State,
)
from modelyard.scheduler.turn import Turn
from modelyard.scheduler.writing import written


def report(state: State, event: ModelReported, turn: Turn) -> None:
    """One model event of one agent. A message of a superseded session changes nothing (S8)."""
    it = event.event
    replica = state.replica(it.replica)
    if replica is None or replica.session != event.session:
        return
    replica.reported_available = it.available_bytes
    turn.servers_changed.add(replica.id.server)
    if it.kind is ModelEventKind.RSYNC:
        _resync(state, replica, it.version, turn)
        return
    if it.version is None:
        return
    assignment = replica.assignments.get(it.version)
    if assignment is None:
        version = state.version(it.version)
        if it.kind is ModelEventKind.LOADED and version is not None:
            take_in(state, version, replica, turn)
        elif it.kind is ModelEventKind.LOADED:  # decided otherwise while its agent was away
            stranger = Model(it.version.model, ModelSpec(Artifact("")))
            unload_stranger(replica, ModelVersion(stranger, it.version.version), turn)
        return
    turn.touch(it.version.model)
    match it.kind:
        case ModelEventKind.LOADED:
            _loaded(state, assignment, it, turn)
        case ModelEventKind.LOAD_FAILED | ModelEventKind.LOAD_FAIL_MEMORY:
            _load_failed(state, assignment, it, turn)
        case ModelEventKind.UNLOADED | ModelEventKind.REMOVED | ModelEventKind.REMOVE_FAILED:
            _unloaded(state, assignment, it, turn)
        case ModelEventKind.UNLOAD_FAILED:
            _unload_failed(state, assignment, it, turn)


def _loaded(state: State, assignment: Assignment, it: ModelEvent, turn: Turn) -> None:
    if assignment.phase not in HOLDING:
        return
    version = state.version(assignment.version)
    assert version is not None
    if it.copies is not None and it.copies != version.copies:
        version.copies = it.copies
        for other in version.assignments.values():
            if other.phase is not Phase.FAILED and other.measured_bytes is None:
                holder = state.replica(other.replica)
                assert holder is not None
                account(state, other, state.needed_bytes(version, holder), turn)
    if assignment.phase is not Phase.LOADED:
        assignment.phase, assignment.reason, assignment.since = Phase.LOADED, "", turn.now
        turn.writes.append(written(assignment))
        turn.note_model(
            assignment.version.model, f"version {assignment.version.version} is loaded on {assignment.replica}"
        )


def _load_failed(state: State, assignment: Assignment, it: ModelEvent, turn: Turn) -> None:
    if assignment.phase not in HOLDING:
        return
    no_memory = it.kind is ModelEventKind.LOAD_FAIL_MEMORY
    said = it.message or ("out of memory" if no_memory else "the agent gave no reason")
    account(state, assignment, 0, turn)
    assignment.phase, assignment.reason, assignment.since = Phase.FAILED, said, turn.now
    assignment.lacked_memory = no_memory
    turn.writes.append(DropAssignment(assignment.version, assignment.replica))
    turn.note_model(assignment.version.model, f"could not be loaded on {assignment.replica}: {said}")


def _unloaded(state: State, assignment: Assignment, it: ModelEvent, turn: Turn) -> None:
    if assignment.phase in (Phase.FAILED, Phase.LEAVING):
        return
    if it.kind is ModelEventKind.REMOVE_FAILED:
        turn.note_server(assignment.replica, f"could not remove {assignment.version} from its disk: {it.message}")
    turn.note_model(assignment.version.model, f"version {assignment.version.version} left {assignment.replica}")
    gone(state, assignment, turn)


def _unload_failed(state: State, assignment: Assignment, it: ModelEvent, turn: Turn) -> None:
    if assignment.phase is not Phase.UNLOADING:
        return
    assignment.phase, assignment.reason, assignment.since = Phase.UNLOAD_FAILED, it.message, turn.now
    assignment.attempts += 1
    assignment.retry_at = turn.now + min(60.0, 2.0**assignment.attempts)
    state.retries[assignment.version, assignment.replica] = assignment.retry_at
    turn.note_model(assignment.version.model, f"could not be unloaded from {assignment.replica}: {it.message}")


def _resync(state: State, replica: Replica, only: VersionId | None, turn: Turn) -> None:
    """The agent lost its state: it is told again what is assigned to it."""
    for assignment in replica.assignments.values():
        if assignment.phase not in HOLDING or (only is not None and only.model != assignment.version.model):
            continue
        version = state.version(assignment.version)
        assert version is not None
        if assignment.phase is not Phase.LOADED:
            assignment.phase = Phase.LOADING
        turn.sends.append(load_order(state, version, replica))
    turn.note_server(replica.id, "asked for everything assigned to it")
