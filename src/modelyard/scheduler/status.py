"""How a model is doing, derived from its assignments and its route after each decision."""

from modelyard.domain.status import ModelState, ReplicaModelState
from modelyard.kit.sizes import portion
from modelyard.scheduler import rollout
from modelyard.scheduler.state import HOLDING, Assignment, Link, ModelRecord, Phase, Replica, Version
from modelyard.scheduler.turn import Turn


def is_available(record: ModelRecord, assignment: Assignment) -> bool:
    """Loaded, and every proxy that counts routes to it; or on its way out, and some proxy routes to it still."""
    if assignment.phase is Phase.LEAVING:
        return record.live_sequence < assignment.left_at
    routed_at = assignment.routed_at
    return assignment.phase is Phase.LOADED and routed_at is not None and record.live_sequence >= routed_at


def replica_state(record: ModelRecord, assignment: Assignment, replica: Replica) -> ReplicaModelState:
    match assignment.phase:
        case Phase.REQUESTED:
            return ReplicaModelState.LOAD_REQUESTED
        case Phase.LOADING:
            return ReplicaModelState.LOADING
        case Phase.FAILED:
            return ReplicaModelState.LOAD_FAILED
        case Phase.LEAVING:
            return ReplicaModelState.UNLOAD_ENVOY_REQUESTED
        case Phase.UNLOADING:
            return ReplicaModelState.UNLOADING
        case Phase.UNLOAD_FAILED:
            return ReplicaModelState.UNLOAD_FAILED
        case Phase.LOADED:
            if replica.draining:
                return ReplicaModelState.DRAINING
            if replica.link is not Link.CONNECTED:
                return ReplicaModelState.LOADED_UNAVAILABLE
            return ReplicaModelState.AVAILABLE if is_available(record, assignment) else ReplicaModelState.LOADED


def available_count(record: ModelRecord, version: Version) -> int:
    return sum(is_available(record, a) for a in version.assignments.values())


def refresh(record: ModelRecord, turn: Turn) -> None:
    """Recompute the state of each version; a change is noted."""
    for version in record.versions.values():
        state, reason = _state_of(record, version)
        meanwhile = serves_meanwhile(record)
        if version is record.wanted and meanwhile:
            reason = f"{reason}; {meanwhile}" if reason else meanwhile
        if (state, reason) == (version.state, version.state_reason):
            continue
        if state is not version.state:
            version.state_since = turn.now
            suffix = f": {reason}" if reason else ""
            turn.note_model(record.name, f"version {version.number} is {state.value}{suffix}")
        version.state, version.state_reason = state, reason
        turn.models_changed.add(record.name)


def serves_meanwhile(record: ModelRecord) -> str:
    """Said where requests still go to an older version."""
    if record.route is None or record.deleting or record.route.version.version == record.latest:
        return ""
    return f"version {record.route.version.version} goes on serving"


def _state_of(record: ModelRecord, version: Version) -> tuple[ModelState, str]:
    if record.deleting:
        stuck = version.in_phase(Phase.UNLOAD_FAILED)
        if stuck:
            return ModelState.TERMINATE_FAILED, "; ".join(f"{a.replica}: {a.reason}" for a in stuck)
        return ModelState.TERMINATING, _waiting_to_unload(record, version)
    available = available_count(record, version)
    if version is not record.wanted:
        if available:
            return ModelState.AVAILABLE, f"serves until version {record.latest} is available"
        if version is rollout.standby(record) and version.in_phase(*HOLDING):
            return ModelState.PROGRESSING, f"comes back, to serve until version {record.latest} is available"
        return ModelState.TERMINATING, _waiting_to_unload(record, version)
    counts = version.model.replicas
    if available >= counts.wanted:
        return ModelState.AVAILABLE, ""
    if version.in_phase(Phase.REQUESTED, Phase.LOADING):
        if available and available >= counts.enough:
            return ModelState.AVAILABLE, f"{available} of {counts.wanted} replicas are available, more are loading"
        return ModelState.PROGRESSING, _loading(version)
    if available >= counts.enough:
        return ModelState.AVAILABLE, version.unplaceable
    if not record.route_refusal and len(version.in_phase(Phase.LOADED)) >= counts.enough:
        return ModelState.PROGRESSING, "waiting for the gateways to take the route"
    if version.unplaceable:
        failed = bool(version.in_phase(Phase.FAILED))
        return (ModelState.FAILED if failed else ModelState.SCHEDULE_FAILED), version.unplaceable
    if record.route_refusal:
        return ModelState.FAILED, f"a gateway refused its route: {record.route_refusal}"
    return ModelState.PROGRESSING, "waiting for the gateways to take the route"


def _loading(version: Version) -> str:
    loading = version.in_phase(Phase.LOADING)
    if loading:
        fetching = [(a.replica, a.fetched_bytes, a.fetch_total_bytes) for a in loading if a.fetched_bytes is not None]
        if not fetching:
            return "loading"
        if len(loading) == 1:
            return f"fetching {portion(*fetching[0][1:])}"
        return "fetching " + ", ".join(f"{portion(here, total)} on {id}" for id, here, total in sorted(fetching))
    away = ", ".join(sorted(str(a.replica) for a in version.in_phase(Phase.REQUESTED)))
    return f"to be loaded when the agent of {away} is back"


def _waiting_to_unload(record: ModelRecord, version: Version) -> str:
    if version.in_phase(Phase.LEAVING) and record.live_sequence < record.route_sequence:
        return "waiting for the gateways to let go of the route"
    return "unloading" if version.assignments else ""
