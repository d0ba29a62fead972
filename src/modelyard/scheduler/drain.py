"""Drains: a replica takes nothing new, each of its models is made available elsewhere, and then it may stop."""

from modelyard.scheduler.messages import DrainAnswer, DrainAsked
from modelyard.scheduler.state import Drain, Phase, Replica, State
from modelyard.scheduler.turn import Turn


def ask(state: State, event: DrainAsked, turn: Turn) -> None:
    """Drain a replica; the answer comes when it holds nothing that is wanted, or cannot get there."""
    replica = state.replica(event.replica)
    if replica is None:
        turn.reply(event.ticket, DrainAnswer(success=True))
        return
    drain = state.drains.setdefault(replica.id, Drain(event.deadline, []))
    drain.tickets.append(event.ticket)
    if not replica.draining:
        replica.draining = True
        turn.note_server(replica.id, "is draining: its models move elsewhere")
        for id in replica.assignments:
            turn.touch(id.model)


def settle(state: State, turn: Turn) -> None:
    """Answer the drains that are done, out of time, or stuck."""
    for id, drain in list(state.drains.items()):
        replica = state.replica(id)
        left = [] if replica is None else [a for a in replica.assignments.values() if a.phase is not Phase.FAILED]
        out_of_time = turn.now >= drain.deadline
        if left and not out_of_time and not (replica and _stuck(state, replica)):
            continue
        del state.drains[id]
        if left:
            names = ", ".join(sorted({a.version.model for a in left}))
            why = "its time is up" if out_of_time else "nowhere else to go"
            turn.note_server(id, f"could not be drained of {names}: {why}")
        else:
            turn.note_server(id, "is drained")
        for ticket in drain.tickets:
            turn.reply(ticket, DrainAnswer(success=not left))


def _stuck(state: State, replica: Replica) -> bool:
    """Everything still there is loaded, has nowhere else to go, and nothing of it is on its way elsewhere."""
    for assignment in replica.assignments.values():
        if assignment.phase is Phase.FAILED:
            continue
        record = state.models[assignment.version.model]
        moving = record.deleting or record.wanted.in_phase(Phase.REQUESTED, Phase.LOADING)
        if assignment.phase is not Phase.LOADED or moving or not record.wanted.unplaceable:
            return False
    return True
