"""Agents that come and go: what their word on what they hold does to ours. Part of `observe`."""

from dataclasses import replace

from modelyard.domain.agent_protocol import ModelVersion, Operation, OperationKind
from modelyard.domain.names import name_problem
from modelyard.domain.server import NO_OFFERS, Offers
from modelyard.scheduler.messages import (
    CloseSession,
    DrainAnswer,
    DropReplica,
    DropServer,
    EndpointProbed,
    OffersTold,
    PutModel,
    PutReplica,
    PutVersion,
    ReplicaLost,
    ReplicaSubscribed,
    Send,
)
from modelyard.scheduler.releasing import forget, gone
from modelyard.scheduler.settings import Settings
from modelyard.scheduler.state import (
    GOING,
    HOLDING,
    Assignment,
    Link,
    ModelRecord,
    Phase,
    Replica,
    Server,
    State,
    Version,
)
from modelyard.scheduler.turn import Turn
from modelyard.scheduler.writing import written


def subscribe(state: State, event: ReplicaSubscribed, turn: Turn) -> None:
    """A session begins: the agent's word on what its server holds replaces what we believed."""
    it = event.subscription
    problem = name_problem(it.replica.server)
    if problem:
        turn.closings.append(CloseSession(it.replica, event.session, f"server name: {problem}"))
        return
    server = state.servers.setdefault(it.replica.server, Server(it.replica.server))
    replica = server.replicas.setdefault(it.replica.index, Replica(it.replica, shared=it.shared))
    if replica.session and replica.session != event.session:
        turn.closings.append(
            CloseSession(replica.id, replica.session, f"another agent has subscribed as {replica.id}: this one ends")
        )
    config = replace(it.config, offers=_offers_kept(replica, event))
    if replica.config != config:
        turn.endpoints[replica.id] = config
        _touch_all(replica, turn)  # routes name its address
    turn.note_server(replica.id, "its agent has connected" if replica.link is not Link.CONNECTED else "re-subscribed")
    replica.config, replica.session = config, event.session
    for other in server.replicas.values():  # newest wins for the whole server
        if other.shared != it.shared:
            other.shared = it.shared
            turn.note_server(other.id, "takes any model" if it.shared else "takes only models that are pinned to it")
            _touch_all(other, turn)
    replica.link, replica.since, replica.draining = Link.CONNECTED, turn.now, False
    replica.accounts_for_itself = event.accounts_for_itself
    replica.reported_available = it.available_bytes
    state.suspects.discard(replica.id)
    drain = state.drains.pop(replica.id, None)
    for ticket in drain.tickets if drain is not None else ():
        turn.reply(ticket, DrainAnswer(success=False))  # it does not stop: it is back
    turn.writes.append(PutReplica(replica.id, config, it.shared))
    _adopt(state, replica, it.loaded, turn)
    for name in state.unplaced:
        turn.touch(name)
    if state.gate is not None:
        state.gate.waiting.discard(replica.id)


def _offers_kept(replica: Replica, event: ReplicaSubscribed) -> Offers:
    """Those of the same server, until its agent tells of them anew; peers that never tell offer nothing."""
    before, now = replica.config, event.subscription.config
    if before is None or event.accounts_for_itself:
        return NO_OFFERS
    same = (before.host, before.http_port, before.grpc_port) == (now.host, now.http_port, now.grpc_port)
    return before.offers if same else NO_OFFERS


def offered(state: State, event: OffersTold, turn: Turn) -> None:
    """Routes stay as they are: gateways only go another way to the same server."""
    replica = state.replica(event.replica)
    if replica is None or replica.config is None or replica.session != event.session:
        return
    if replica.config.offers == event.offers:
        return
    replica.config = turn.endpoints[replica.id] = replace(replica.config, offers=event.offers)
    turn.writes.append(PutReplica(replica.id, replica.config, replica.shared))


def _touch_all(replica: Replica, turn: Turn) -> None:
    for id in replica.assignments:
        turn.touch(id.model)


def _adopt(state: State, replica: Replica, loaded: tuple[ModelVersion, ...], turn: Turn) -> None:
    """Bring our assignments on the replica in line with what its agent says is loaded."""
    reported = {it.id: it for it in loaded}
    for id, it in reported.items():
        version = state.version(id)
        if version is None and turn.now < state.rebuild_until:
            version = _rebuild(state, it, turn)
        if version is None or not version.model.spec.same_but_size(it.model.spec):
            unload_stranger(replica, it, turn)
            continue
        assignment = replica.assignments.get(id)
        if assignment is None or assignment.phase is Phase.FAILED:
            take_in(state, version, replica, turn)
            continue
        if assignment.phase not in GOING:
            assignment.phase, assignment.reason = Phase.LOADED, ""
        elif assignment.phase is not Phase.LEAVING:
            _order_unload(assignment, replica, version, turn)
        turn.writes.append(written(assignment))
        turn.touch(id.model)
    for assignment in list(replica.assignments.values()):
        if assignment.version in reported:
            continue
        turn.touch(assignment.version.model)
        if assignment.phase in GOING:
            gone(state, assignment, turn)
        elif assignment.phase is Phase.FAILED:
            forget(state, assignment, turn)
        else:
            assignment.phase, assignment.reason = Phase.REQUESTED, ""
            turn.writes.append(written(assignment))


def take_in(state: State, version: Version, replica: Replica, turn: Turn) -> None:
    """It is loaded where we had not put it, or not any more: to be decided, and a proxy may still route there."""
    assignment = state.assign(version, replica, turn.now)
    assignment.phase = Phase.LOADED
    assignment.left_at = state.models[version.model.name].route_sequence
    turn.writes.append(written(assignment))
    turn.touch(version.model.name)


def _rebuild(state: State, it: ModelVersion, turn: Turn) -> Version | None:
    """The journal was lost: what agents hold is all there is to know."""
    name = it.model.name
    if it.version <= state.tombstones.get(name, 0):
        return None
    record = state.models.get(name)
    if record is None:
        record = state.models[name] = ModelRecord(name, latest=it.version)
    if it.version in record.versions:
        return None
    record.latest = max(record.latest, it.version)
    version = record.versions[it.version] = Version(it.model, it.version, state_since=turn.now)
    turn.writes += [PutModel(name, record.latest, record.deleting), PutVersion(it, took_over=False)]
    turn.note_model(name, f"version {it.version} was adopted from an agent, as the journal was lost")
    return version


def unload_stranger(replica: Replica, it: ModelVersion, turn: Turn) -> None:
    """The replica holds what we do not want there, or not in this shape."""
    known = replica.assignments.get(it.id)
    if known is not None and known.phase in HOLDING:
        known.phase = Phase.REQUESTED  # it is loaded again, in our shape, once the other one is gone
    turn.sends.append(Send(replica.id, replica.session, Operation(OperationKind.UNLOAD, it)))
    turn.note_server(replica.id, f"holds {it.id}, which is not wanted there: it is unloaded")


def _order_unload(assignment: Assignment, replica: Replica, version: Version, turn: Turn) -> None:
    assignment.phase = Phase.UNLOADING
    order = Operation(OperationKind.UNLOAD, version.model_version())
    turn.sends.append(Send(replica.id, replica.session, order))


def lose(state: State, event: ReplicaLost, settings: Settings, turn: Turn) -> None:
    """The stream ended: the replica is suspect, not gone. Its server may well go on answering."""
    replica = state.replica(event.replica)
    if replica is None or replica.session != event.session:
        return
    replica.session, replica.link, replica.since = "", Link.SUSPECT, turn.now
    replica.check_at = turn.now + settings.suspect_seconds
    state.suspects.add(replica.id)
    turn.note_server(replica.id, "its agent is lost; its routes stay while its server answers")
    for assignment in list(replica.assignments.values()):
        turn.touch(assignment.version.model)
        if assignment.phase is Phase.LOADING:
            assignment.phase = Phase.REQUESTED
        elif assignment.phase is Phase.FAILED:
            forget(state, assignment, turn)


def probed(state: State, event: EndpointProbed, settings: Settings, turn: Turn) -> None:
    replica = state.replica(event.replica)
    if replica is None or replica.link is not Link.SUSPECT:
        return
    if event.alive:
        replica.check_at = turn.now + settings.probe_seconds
        return
    turn.note_server(replica.id, "neither its agent nor its server answers: its models are placed elsewhere")
    forget_replica(state, replica, turn)


def forget_replica(state: State, replica: Replica, turn: Turn) -> None:
    """It is gone, and everything that it held."""
    for assignment in list(replica.assignments.values()):
        gone(state, assignment, turn)
    state.suspects.discard(replica.id)
    if state.gate is not None:
        state.gate.waiting.discard(replica.id)
    turn.writes.append(DropReplica(replica.id))
    turn.endpoints[replica.id] = None
    server = state.servers[replica.id.server]
    del server.replicas[replica.id.index]
    turn.servers_changed.add(server.name)
    if not server.replicas and server.manifest is None and (server.notice is None or server.given_up):
        del state.servers[server.name]
        turn.writes.append(DropServer(server.name))
