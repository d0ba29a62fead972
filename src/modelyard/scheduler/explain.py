"""Why a model is where it is, or nowhere; and where one that is not applied yet would go."""

from collections.abc import Mapping

from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId
from modelyard.domain.status import Explanation, ReplicaModelState, Verdict
from modelyard.scheduler.placement.demand import demand_for
from modelyard.scheduler.placement.place import Placement, place
from modelyard.scheduler.sizes import measured_and_declared
from modelyard.scheduler.state import GOING, ModelRecord, Phase, State, Version
from modelyard.scheduler.status import replica_state, serves_meanwhile


def explain(state: State, name: str) -> Explanation:
    """Of a model that is there, as things stand now."""
    record = state.models[name]
    return explain_decision(state, name, place(demand_for(state, record.wanted), state.servers.values()).reasons)


def explain_decision(state: State, name: str, refusals: Mapping[ReplicaId, str]) -> Explanation:
    """With the reasons of a decision that was taken."""
    record = state.models[name]
    version = record.wanted
    reasons = dict(refusals)
    held: dict[ReplicaId, str] = {}
    leaving: dict[ReplicaId, str] = {}
    for assignment in version.assignments.values():
        replica = state.replica(assignment.replica)
        assert replica is not None
        if assignment.phase is not Phase.FAILED:
            words = _in_words(replica_state(record, assignment, replica))
            if assignment.measured_bytes is not None:
                words += f", {measured_and_declared(assignment.measured_bytes, version.model.spec.memory_bytes)}"
            (leaving if assignment.phase in GOING else held)[assignment.replica] = words
    for id in list(reasons):
        if id in held:
            del reasons[id]
    spare = {r.id: "not needed: the model has all its replicas" for r in state.replicas()}
    verdicts = [Verdict(id, True, words) for id, words in held.items()]
    verdicts += [Verdict(id, False, said) for id, said in {**spare, **reasons, **leaving}.items() if id not in held]
    servers = sorted({id.server for id in held})
    return Explanation(
        summary=_summary(state, record, version, held),
        placed=bool(held),
        server=servers[0] if servers else "",
        verdicts=tuple(sorted(verdicts, key=lambda v: v.replica)),
    )


def _summary(state: State, record: ModelRecord, version: Version, held: dict[ReplicaId, str]) -> str:
    if record.deleting:
        return f"{record.name} is being deleted"
    if state.gate is not None:
        return f"nothing is decided yet: {gate_in_words(state)}"
    meanwhile = serves_meanwhile(record)
    also = f"; {meanwhile}" if meanwhile else ""
    if not held:
        return f"version {version.number} is nowhere: {version.unplaceable or 'not decided yet'}{also}"
    where = ", ".join(f"{id} ({words})" for id, words in sorted(held.items()))
    short = f"; {version.unplaceable}" if version.unplaceable else ""
    return f"version {version.number} is on {where}{short}{also}"


def gate_in_words(state: State) -> str:
    """Whom a restarted scheduler waits for; empty when it waits for nobody."""
    if state.gate is None:
        return ""
    if state.gate.blind:
        return "the journal was lost: it waits until agents have had time to report"
    waiting = ", ".join(str(id) for id in sorted(state.gate.waiting)[:5])
    more = f" and {len(state.gate.waiting) - 5} more" if len(state.gate.waiting) > 5 else ""
    return f"after the scheduler's restart it waits for the agents of {waiting}{more}"


def would_place(state: State, model: Model) -> Explanation:
    """What applying this model would come to; changes nothing."""
    record = state.models.get(model.name)
    number = record.latest + 1 if record else state.tombstones.get(model.name, 0) + 1
    same = record is not None and not record.deleting and record.wanted.model.spec == model.spec
    if record is not None and same:
        version = Version(model, record.latest, copies=record.wanted.copies)
        # Applying it again forgets failed tries.
        version.assignments = {id: a for id, a in record.wanted.assignments.items() if a.phase is not Phase.FAILED}
        number = record.latest
    else:
        version = Version(model, number)
    outcome = place(demand_for(state, version), state.servers.values())
    if not isinstance(outcome, Placement):
        noes = tuple(Verdict(id, False, said) for id, said in sorted(outcome.reasons.items()))
        return Explanation(f"version {number} would go nowhere: {outcome.summary}", placed=False, verdicts=noes)
    chosen = frozenset(outcome.replicas)
    verdicts = [
        Verdict(r.id, r.id in chosen, _would(r.id in chosen, outcome.reasons.get(r.id, ""))) for r in state.replicas()
    ]
    where = ", ".join(str(id) for id in sorted(chosen))
    short = f" ({outcome.short})" if outcome.short else ""
    return Explanation(
        f"version {number} would go to {where}{short}",
        placed=True,
        server=outcome.server,
        verdicts=tuple(sorted(verdicts, key=lambda v: v.replica)),
    )


def _would(chosen: bool, reason: str) -> str:
    return "fits best" if chosen else reason or "would do, but others come first"


_WORDS = {
    ReplicaModelState.LOAD_REQUESTED: "to be loaded when its agent is back",
    ReplicaModelState.LOADED: "loaded, not yet routed by all gateways",
    ReplicaModelState.LOADED_UNAVAILABLE: "loaded; its agent is lost, its server may still answer",
    ReplicaModelState.UNLOAD_ENVOY_REQUESTED: "leaving: the gateways are letting go of it",
    ReplicaModelState.UNLOAD_FAILED: "could not be unloaded; to be tried again",
}


def _in_words(state: ReplicaModelState) -> str:
    return _WORDS.get(state, state.value.lower())
