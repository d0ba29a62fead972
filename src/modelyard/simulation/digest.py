"""The scheduler's state as something to compare."""

from modelyard.scheduler.state import Assignment, State


def digest(state: State) -> object:
    """Everything that a message could change."""
    models = [
        (r.name, r.latest, r.deleting, r.route, r.route_sequence, r.live_sequence, [_held(a) for a in r.assignments()])
        for r in state.models.values()
    ]
    replicas = [(it.id, it.link, it.session, it.assigned_bytes) for it in state.replicas()]
    return models, replicas, dict(state.sizes)


def _held(assignment: Assignment) -> object:
    return assignment.version, assignment.replica, assignment.phase, assignment.accounted_bytes, assignment.reason
