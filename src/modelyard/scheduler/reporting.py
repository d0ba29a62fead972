"""What agents told: subscriptions, losses, and what became of each model. Part of `observe`."""

from modelyard.domain.agent_protocol import ModelEvent, ModelEventKind, ModelVersion, Operation, OperationKind
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.names import ReplicaId, VersionId, name_problem
from modelyard.scheduler.messages import (
    CloseSession,
    DrainAnswer,
    DropAssignment,
    DropReplica,
    DropServer,
    EndpointProbed,
    ModelReported,
    ModelsMeasured,
    PutModel,
    PutReplica,
    PutVersion,
    ReplicaLost,
    ReplicaSubscribed,
    Send,
)
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
    if replica.config != it.config:
        turn.endpoints[replica.id] = it.config
        _touch_all(replica, turn)  # routes name its address
    turn.note_server(replica.id, "its agent has connected" if replica.link is not Link.CONNECTED else "re-subscribed")
    replica.config, replica.session = it.config, event.session
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
    turn.writes.append(PutReplica(replica.id, it.config, it.shared))
    _adopt(state, replica, it.loaded, turn)
    for name in state.unplaced:
        turn.touch(name)
    if state.gate is not None:
        state.gate.waiting.discard(replica.id)


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
        if version is None or version.model.spec != it.model.spec:
            _unload_stranger(replica, it, turn)
            continue
        assignment = replica.assignments.get(id)
        if assignment is None or assignment.phase is Phase.FAILED:
            _take_in(state, version, replica, turn)
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
            _gone(state, assignment, turn)
        elif assignment.phase is Phase.FAILED:
            _forget(state, assignment, turn)
        else:
            assignment.phase, assignment.reason = Phase.REQUESTED, ""
            turn.writes.append(written(assignment))


def _take_in(state: State, version: Version, replica: Replica, turn: Turn) -> None:
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


def _unload_stranger(replica: Replica, it: ModelVersion, turn: Turn) -> None:
    """The replica holds what we do not want there, or not in this shape."""
    known = replica.assignments.get(it.id)
    if known is not None and known.phase in HOLDING:
        known.phase = Phase.REQUESTED  # it is loaded again, in our shape, once the other one is gone
    turn.sends.append(Send(replica.id, replica.session, Operation(OperationKind.UNLOAD, it)))
    turn.note_server(replica.id, f"holds {it.id}, which is not wanted there: it is unloaded")


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
            _forget(state, assignment, turn)


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
        _gone(state, assignment, turn)
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
            _take_in(state, version, replica, turn)
        elif it.kind is ModelEventKind.LOADED:  # decided otherwise while its agent was away
            stranger = Model(it.version.model, ModelSpec(Artifact("")))
            _unload_stranger(replica, ModelVersion(stranger, it.version.version), turn)
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
                _account(state, other, version.needed_bytes, turn)
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
    _account(state, assignment, 0, turn)
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
    _gone(state, assignment, turn)


def _unload_failed(state: State, assignment: Assignment, it: ModelEvent, turn: Turn) -> None:
    if assignment.phase is not Phase.UNLOADING:
        return
    assignment.phase, assignment.reason, assignment.since = Phase.UNLOAD_FAILED, it.message, turn.now
    assignment.attempts += 1
    assignment.retry_at = turn.now + min(60.0, 2.0**assignment.attempts)
    state.retries[assignment.version, assignment.replica] = assignment.retry_at
    turn.note_model(assignment.version.model, f"could not be unloaded from {assignment.replica}: {it.message}")


def measured(state: State, event: ModelsMeasured, turn: Turn) -> None:
    """Our agents' own figures: accounted from now on, and used for the next placement of the version."""
    replica = state.replica(event.replica)
    if replica is None or replica.session != event.session:
        return
    for it in event.measures:
        assignment, version = replica.assignments.get(it.version), state.version(it.version)
        if assignment is None or version is None or assignment.phase is Phase.FAILED:
            continue
        assignment.resident = it.resident
        if it.measured_bytes is not None and it.measured_bytes != assignment.measured_bytes:
            assignment.measured_bytes = it.measured_bytes
            version.measured_bytes = max(
                a.measured_bytes for a in version.assignments.values() if a.measured_bytes is not None
            )
            _account(state, assignment, it.measured_bytes, turn)
        turn.models_changed.add(it.version.model)


def _resync(state: State, replica: Replica, only: VersionId | None, turn: Turn) -> None:
    """The agent lost its state: it is told again what is assigned to it."""
    for assignment in replica.assignments.values():
        if assignment.phase not in HOLDING or (only is not None and only.model != assignment.version.model):
            continue
        version = state.version(assignment.version)
        assert version is not None
        if assignment.phase is not Phase.LOADED:
            assignment.phase = Phase.LOADING
        order = Operation(OperationKind.LOAD, version.model_version(), autoscaling=version.autoscaled)
        turn.sends.append(Send(replica.id, replica.session, order))
    turn.note_server(replica.id, "asked for everything assigned to it")


def _order_unload(assignment: Assignment, replica: Replica, version: Version, turn: Turn) -> None:
    assignment.phase = Phase.UNLOADING
    order = Operation(OperationKind.UNLOAD, version.model_version())
    turn.sends.append(Send(replica.id, replica.session, order))


def _gone(state: State, assignment: Assignment, turn: Turn) -> None:
    """The assignment is over, and its bytes may help others."""
    freed = assignment.replica
    state.unassign(assignment)
    turn.writes.append(DropAssignment(assignment.version, assignment.replica))
    turn.touch(assignment.version.model)
    _room_on(state, freed, turn)


def _forget(state: State, assignment: Assignment, turn: Turn) -> None:
    """A failed try: it holds no bytes, and may be tried again."""
    assert assignment.phase is Phase.FAILED
    state.unassign(assignment)
    turn.touch(assignment.version.model)


def _room_on(state: State, id: ReplicaId, turn: Turn) -> None:
    """Models without a place that would fit there are tried again; so are those that failed there for memory."""
    replica = state.replica(id)
    if replica is None or replica.config is None:
        return
    for assignment in [a for a in replica.assignments.values() if a.lacked_memory and a.phase is Phase.FAILED]:
        _forget(state, assignment, turn)
    _retry_unplaced(state, replica, turn)


def _account(state: State, assignment: Assignment, bytes: int, turn: Turn) -> None:
    """Change what an assignment counts; what that gives back may help models without a place."""
    less = bytes < assignment.accounted_bytes
    state.account(assignment, bytes)
    replica = state.replica(assignment.replica)
    assert replica is not None
    if less:
        _retry_unplaced(state, replica, turn)


def _retry_unplaced(state: State, replica: Replica, turn: Turn) -> None:
    assert replica.config is not None
    for name in state.unplaced:
        version = state.models[name].wanted
        fits = version.needed_bytes <= replica.free_bytes or version.id in replica.assignments
        if fits and version.model.spec.requirements <= replica.config.capabilities:
            turn.touch(name)
