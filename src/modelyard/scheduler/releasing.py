"""Bytes that come free, and the models that may fit because of it."""

from modelyard.domain.names import ReplicaId
from modelyard.scheduler.messages import (
    DropAssignment,
)
from modelyard.scheduler.state import (
    Assignment,
    Phase,
    Replica,
    State,
)
from modelyard.scheduler.turn import Turn


def gone(state: State, assignment: Assignment, turn: Turn) -> None:
    """The assignment is over, and its bytes may help others."""
    freed = assignment.replica
    state.unassign(assignment)
    turn.writes.append(DropAssignment(assignment.version, assignment.replica))
    turn.touch(assignment.version.model)
    room_on(state, freed, turn)


def forget(state: State, assignment: Assignment, turn: Turn) -> None:
    """A failed try: it holds no bytes, and may be tried again."""
    assert assignment.phase is Phase.FAILED
    state.unassign(assignment)
    turn.touch(assignment.version.model)


def room_on(state: State, id: ReplicaId, turn: Turn) -> None:
    """Models without a place that would fit there are tried again; so are those that failed there for memory."""
    replica = state.replica(id)
    if replica is None or replica.config is None:
        return
    for assignment in [a for a in replica.assignments.values() if a.lacked_memory and a.phase is Phase.FAILED]:
        forget(state, assignment, turn)
    retry_unplaced(state, replica, turn)


def account(state: State, assignment: Assignment, bytes: int, turn: Turn) -> None:
    """Change what an assignment counts; what that gives back may help models without a place."""
    less = bytes < assignment.accounted_bytes
    state.account(assignment, bytes)
    replica = state.replica(assignment.replica)
    assert replica is not None
    if less:
        retry_unplaced(state, replica, turn)


def retry_unplaced(state: State, replica: Replica, turn: Turn) -> None:
    """Decide again on models without a place that may fit on this replica now."""
    assert replica.config is not None
    for name in state.unplaced:
        version = state.models[name].wanted
        fits = state.needed_bytes(version, replica) <= replica.free_bytes or version.id in replica.assignments
        if fits and version.model.spec.requirements <= replica.config.capabilities:
            turn.touch(name)
