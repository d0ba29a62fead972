"""What to do about the models whose facts changed: place, load, route, unload, and say how they are.

Level-triggered: each dirty model is brought one step towards what is wanted from wherever it is, so a decision does
not depend on which event led to it. The cost of a model does not grow with the number of models.
"""

from collections.abc import Iterable
from typing import assert_never

from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.status import Explanation
from modelyard.scheduler import rollout
from modelyard.scheduler.explain import explain_decision
from modelyard.scheduler.messages import (
    DropAssignment,
    DropModel,
    DropVersion,
    ModelAnswer,
    PutVersion,
    ServingVersion,
)
from modelyard.scheduler.orders import load_order, unload_order
from modelyard.scheduler.placement.demand import demand_for
from modelyard.scheduler.placement.place import Placement, Unplaceable, place
from modelyard.scheduler.state import HOLDING, Assignment, Link, ModelRecord, Phase, Replica, State, Version
from modelyard.scheduler.status import refresh
from modelyard.scheduler.turn import Turn
from modelyard.scheduler.writing import written


def decide(state: State, turn: Turn) -> None:
    """Decide on every dirty model, until none is left (freed room makes others dirty)."""
    while turn.dirty:
        name = next(iter(turn.dirty))
        turn.cause = turn.dirty.pop(name)
        record = state.models.get(name)
        if record is not None:
            _decide_model(state, record, turn)


def _decide_model(state: State, record: ModelRecord, turn: Turn) -> None:
    target: tuple[ReplicaId, ...] = ()
    if not record.deleting:
        target = _place(state, record.wanted)
        _load(state, record.wanted, target, turn)
        standby = rollout.standby(record)
        if standby is not None:
            _load(state, standby, _where_to_keep(state, standby), turn)
    serving = rollout.serving_version(record)
    if serving is not None and not serving.took_over and rollout.has_enough(serving):
        _take_over(record, serving, turn)
    for assignment in rollout.surplus(record, target, serving):
        _leave(state, assignment, turn)
    _publish(state, record, rollout.route(serving), turn)
    _unload(state, record, turn)
    _tidy(state, record, turn)
    if record.name in state.models:
        refresh(record, turn)


def _take_over(record: ModelRecord, serving: Version, turn: Turn) -> None:
    serving.took_over = True
    turn.writes.append(PutVersion(serving.model_version(), took_over=True))
    if len(record.versions) > 1:
        turn.note_model(record.name, f"version {serving.number} takes over")


def _place(state: State, version: Version) -> tuple[ReplicaId, ...]:
    """Where the version should be: the same as now when that is as wanted."""
    settled = _settled(state, version)
    if settled is not None:
        outcome: Placement | Unplaceable = settled
    else:
        outcome = place(demand_for(state, version), state.servers.values())
    match outcome:
        case Placement(replicas=replicas, short=short, reasons=reasons):
            version.unplaceable, version.refusals = "", dict(reasons)
            if short:
                state.unplaced.setdefault(version.model.name)
                version.unplaceable = short
            else:
                state.unplaced.pop(version.model.name, None)
            return replicas
        case Unplaceable(summary=summary, reasons=reasons):
            version.unplaceable, version.refusals = summary, dict(reasons)
            state.unplaced.setdefault(version.model.name)
            # What is loaded keeps serving; what is loading may still make it.
            return tuple(a.replica for a in version.in_phase(*HOLDING))
        case _:
            assert_never(outcome)


def _where_to_keep(state: State, standby: Version) -> tuple[ReplicaId, ...]:
    """Where it is; somewhere anew only where it is nowhere any more."""
    held = tuple(a.replica for a in standby.in_phase(*HOLDING))
    if held:
        return held
    outcome = place(demand_for(state, standby), state.servers.values())
    return outcome.replicas if isinstance(outcome, Placement) else ()


def _settled(state: State, version: Version) -> Placement | None:
    """The quick way out: exactly as many as wanted, on replicas that stay."""
    held = version.in_phase(*HOLDING)
    if len(held) != version.model.replicas.wanted or version.unplaceable:
        return None
    for assignment in held:
        replica = state.replica(assignment.replica)
        assert replica is not None
        if assignment.phase is Phase.REQUESTED and replica.link is not Link.CONNECTED:
            return None  # its agent is lost: another replica may be quicker
        if replica.draining or state.servers[replica.id.server].given_up or not _allowed(version, replica):
            return None
    return Placement(held[0].replica.server, tuple(a.replica for a in held), reasons=version.refusals)


def _allowed(version: Version, replica: Replica) -> bool:
    """Its replica's capabilities and sharing may have changed since."""
    spec = version.model.spec
    assert replica.config is not None
    if spec.server is None and not replica.shared:
        return False
    return spec.requirements <= replica.config.capabilities


def _load(state: State, version: Version, target: Iterable[ReplicaId], turn: Turn) -> None:
    for id in target:
        replica = state.replica(id)
        assert replica is not None
        assignment = version.assignments.get(id)
        if assignment is not None and assignment.phase is Phase.LEAVING:
            assignment.phase, assignment.since = Phase.LOADED, turn.now  # wanted again before it had left
            turn.writes.append(written(assignment))
        elif assignment is None or assignment.phase is Phase.FAILED:
            assignment = state.assign(version, replica, turn.now)
            turn.writes.append(written(assignment))
            turn.note_model(version.model.name, f"version {version.number} is to be loaded on {id}")
    for assignment in version.in_phase(Phase.REQUESTED):
        replica = state.replica(assignment.replica)
        assert replica is not None
        if replica.link is Link.CONNECTED:
            assignment.phase, assignment.since = Phase.LOADING, turn.now
            turn.sends.append(load_order(state, version, replica))


def _leave(state: State, assignment: Assignment, turn: Turn) -> None:
    """First out of the route; told to unload when no proxy routes there any more."""
    if assignment.phase is Phase.REQUESTED:
        # Its agent is away. If it holds the version after all, it is told to unload it when it is back.
        state.unassign(assignment)
        turn.writes.append(DropAssignment(assignment.version, assignment.replica))
        return
    assignment.phase, assignment.since = Phase.LEAVING, turn.now
    turn.writes.append(written(assignment))


def _publish(state: State, record: ModelRecord, wanted: ServingVersion | None, turn: Turn) -> None:
    """Tell the proxies, where that changes anything for them."""
    moved = wanted is not None and any(id in turn.endpoints for id in wanted.replicas)
    if wanted != record.route or moved:
        state.route_sequence += 1
        record.route, record.route_sequence, record.route_refusal = wanted, state.route_sequence, ""
        turn.routes[record.name] = wanted
    for assignment in record.assignments():
        routed = wanted is not None and assignment.version == wanted.version and assignment.replica in wanted.replicas
        if routed and assignment.routed_at is None:
            assignment.routed_at = record.route_sequence
        elif not routed and assignment.routed_at is not None:
            assignment.routed_at, assignment.left_at = None, record.route_sequence


def _unload(state: State, record: ModelRecord, turn: Turn) -> None:
    """Tell agents to unload what no proxy routes to any more."""
    for version in record.versions.values():
        for assignment in version.in_phase(Phase.LEAVING):
            replica = state.replica(assignment.replica)
            assert replica is not None
            if record.live_sequence < assignment.left_at or replica.link is not Link.CONNECTED:
                continue
            assignment.phase, assignment.since = Phase.UNLOADING, turn.now
            turn.writes.append(written(assignment))
            turn.sends.append(unload_order(version, replica))
        for assignment in version.in_phase(Phase.UNLOAD_FAILED):
            replica = state.replica(assignment.replica)
            assert replica is not None
            if assignment.retry_at <= turn.now and replica.link is Link.CONNECTED:
                assignment.phase, assignment.since = Phase.UNLOADING, turn.now
                turn.sends.append(unload_order(version, replica))


def _tidy(state: State, record: ModelRecord, turn: Turn) -> None:
    """Old versions that nothing holds are forgotten; a deleted model leaves a tombstone.

    The wanted version stays as long as its model: whoever asks in between is told of it.
    """
    standby = rollout.standby(record)
    for number in list(record.versions):
        version = record.versions[number]
        if (number == record.latest and not record.deleting) or version is standby:
            continue
        for failed in version.in_phase(Phase.FAILED):
            state.unassign(failed)
        if not version.assignments and number != record.latest:
            del record.versions[number]
            turn.writes.append(DropVersion(VersionId(record.name, number)))
    held = any(True for _ in record.assignments())
    if record.deleting and not held and record.live_sequence >= record.route_sequence:
        del state.models[record.name]
        state.unplaced.pop(record.name, None)
        state.tombstones[record.name] = record.latest
        turn.writes.append(DropModel(record.name, record.latest))
        turn.note_model(record.name, "is deleted")


def answer_applied(state: State, turn: Turn) -> None:
    """Tell who applied a model what became of it this turn."""
    for ticket, name, outcome in turn.applied:
        record = state.models.get(name)
        if record is None:  # deleted in the same turn
            gone = Explanation(f"{name} was deleted right after", placed=False)
            turn.reply(ticket, ModelAnswer(outcome, state.tombstones[name], gone))
        else:
            turn.reply(
                ticket, ModelAnswer(outcome, record.latest, explain_decision(state, name, record.wanted.refusals))
            )
