"""After a restart: the state that the journal holds, and the routes that follow from it.

Every replica that was known is suspect until its agent reports, so its routes stay as the proxies have them (S10).
"""

from modelyard.scheduler import rollout
from modelyard.scheduler.messages import Journaled
from modelyard.scheduler.settings import Settings
from modelyard.scheduler.state import Gate, Link, ModelRecord, Phase, Replica, Server, State, Version
from modelyard.scheduler.status import refresh
from modelyard.scheduler.turn import Turn


def restored(journaled: Journaled, settings: Settings, now: float) -> State:
    """The state as of the last journal write; sessions, failed tries, and what each replica measured are not in it."""
    state = State(tombstones=dict(journaled.tombstones))
    state.sizes = {it.artifact: it.measured_bytes for it in journaled.sizes}
    for server in journaled.servers:
        state.servers[server.name] = Server(server.name, server.notice, server.manifest)
    for put in journaled.replicas:
        home = state.servers.setdefault(put.replica.server, Server(put.replica.server))
        home.replicas[put.replica.index] = Replica(
            put.replica, Link.SUSPECT, now, put.config, put.shared, check_at=now + settings.restart_wait_seconds
        )
        state.suspects.add(put.replica)
    for model in journaled.models:
        state.models[model.name] = ModelRecord(model.name, model.latest, model.deleting)
    for it in journaled.versions:
        id = it.version.id
        record = state.models[id.model]
        record.versions[id.version] = Version(it.version.model, id.version, it.took_over, state_since=now)
    for held in journaled.assignments:
        version, replica = state.version(held.version), state.replica(held.replica)
        if version is None or replica is None:
            continue
        assignment = state.assign(version, replica, now)
        if held.leaving:
            assignment.phase = Phase.LEAVING
        elif held.loaded:
            assignment.phase = Phase.LOADED
    if state.suspects:
        state.gate = Gate(set(state.suspects), now + settings.restart_wait_seconds)
    return state


def republish(state: State, turn: Turn) -> None:
    """Tell the proxies' driver what they should have by now; it sends only what differs."""
    for replica in state.replicas():
        if replica.config is not None:
            turn.endpoints[replica.id] = replica.config
    for record in state.models.values():
        state.route_sequence += 1
        record.route_sequence = state.route_sequence
        record.route = turn.routes[record.name] = rollout.route(rollout.serving_version(record))
        for assignment in record.assignments():
            routed = record.route is not None and assignment.version == record.route.version
            if routed and assignment.phase is Phase.LOADED:
                assignment.routed_at = record.route_sequence
            else:  # a proxy may still have a route to it from before
                assignment.left_at = record.route_sequence
        refresh(record, turn)
