"""What our agents measured of their models, and how far their downloads are. Part of `observe`."""

from modelyard.domain.agent_protocol import ModelMeasure
from modelyard.kit.sizes import quantity
from modelyard.scheduler.messages import DropSize, ModelsMeasured, PutSize
from modelyard.scheduler.releasing import room_on
from modelyard.scheduler.sizes import MOST_SIZES, artifact_key
from modelyard.scheduler.state import Assignment, Phase, Replica, State, Version
from modelyard.scheduler.turn import Turn


def measured(state: State, event: ModelsMeasured, turn: Turn) -> None:
    """Accounted from now on, and what the artifact needs wherever it is placed next."""
    replica = state.replica(event.replica)
    if replica is None or replica.session != event.session:
        return
    over = _too_full(replica)
    for it in event.measures:
        version = state.version(it.version)
        if version is None:
            continue
        assignment = replica.assignments.get(it.version)
        if assignment is not None and assignment.phase is not Phase.FAILED:
            _note(state, assignment, it, turn)
        if it.measured_bytes is not None:
            _learn(state, version, it.measured_bytes, turn)
    if _too_full(replica) and not over:
        assert replica.config is not None
        taken, most = quantity(replica.assigned_bytes), quantity(replica.config.assignable_bytes)
        turn.note_server(replica.id, f"its models take {taken}, more than its {most}: it takes no more until some left")


def _too_full(replica: Replica) -> bool:
    return replica.config is not None and replica.assigned_bytes > replica.config.assignable_bytes


def _note(state: State, assignment: Assignment, it: ModelMeasure, turn: Turn) -> None:
    assignment.resident, assignment.note = it.resident, it.note
    if it.measured_bytes is not None and it.measured_bytes != assignment.measured_bytes:
        less = it.measured_bytes < assignment.accounted_bytes
        assignment.measured_bytes = it.measured_bytes
        state.account(assignment, it.measured_bytes)
        if less:
            room_on(state, assignment.replica, turn)
        turn.servers_changed.add(assignment.replica.server)
    if (assignment.fetched_bytes, assignment.fetch_total_bytes) != (it.fetched_bytes, it.fetch_total_bytes):
        assignment.fetched_bytes, assignment.fetch_total_bytes = it.fetched_bytes, it.fetch_total_bytes
        turn.touch(it.version.model)  # the reason of its state tells it
    turn.models_changed.add(it.version.model)


def _learn(state: State, version: Version, size: int, turn: Turn) -> None:
    """The largest of the version's own figures, where several replicas hold it."""
    figures = [a.measured_bytes for a in version.assignments.values() if a.measured_bytes is not None]
    artifact, size = artifact_key(version.model.spec.artifact), max(size, *figures, 0)
    if state.sizes.get(artifact) == size:
        return
    state.sizes.pop(artifact, None)
    state.sizes[artifact] = size
    turn.writes.append(PutSize(artifact, size))
    if len(state.sizes) > MOST_SIZES:
        oldest = next(iter(state.sizes))
        del state.sizes[oldest]
        turn.writes.append(DropSize(oldest))
    for name in state.unplaced:
        if artifact_key(state.models[name].wanted.model.spec.artifact) == artifact:
            turn.touch(name)
