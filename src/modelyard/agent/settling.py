"""What goes on by itself once the server is there. Pure."""

from modelyard.agent.messages import Fetch, Load, Unload
from modelyard.agent.phases import Phase, Room
from modelyard.agent.state import State
from modelyard.domain.agent_protocol import ModelEventKind


def settle(state: State) -> None:
    """Once the server is there: unload what leaves, load what waits and fits, refuse what never will.

    A load that lost its server before goes on alone: it may be the one that killed it.
    """
    while state.server_up and not state.assignments.settled:
        under_way = [it for it in state.entries.values() if it.phase is Phase.LOADING]
        loading, suspect = bool(under_way), any(it.attempts for it in under_way)
        state.assignments.settled = True
        for version in list(state.assignments.queue):
            entry = state.entries[version]
            if entry.phase is Phase.LEAVING:
                state.move(entry, Phase.UNLOADING, Room)
                state.effects.append(Unload(version))
            elif entry.artifact is None:
                state.move(entry, Phase.FETCHING, Room)
                state.effects.append(Fetch(entry.model_version))
            elif state.ledger.fits(version):
                if suspect or (loading and entry.attempts):
                    continue
                loading, suspect = True, entry.attempts > 0
                state.move(entry, Phase.LOADING, Room)
                state.effects.append(Load(entry.model_version, entry.artifact))
            elif not state.ledger.will_fit(version):
                need = state.ledger.accounted_bytes(version)
                state.fail(entry, ModelEventKind.LOAD_FAIL_MEMORY, state.no_room(version, need), Room)
