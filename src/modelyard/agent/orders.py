"""What the scheduler orders: versions that are to be here, and versions that are not. Pure."""

from modelyard.agent.assignments import Entry
from modelyard.agent.messages import CancelFetch, Fetch, LoadOrdered, Save, UnloadOrdered
from modelyard.agent.phases import GOING, Phase
from modelyard.agent.state import State
from modelyard.domain.agent_protocol import ModelEventKind, ModelVersion
from modelyard.domain.names import VersionId


def load_ordered(state: State, wanted: ModelVersion) -> None:
    entry = state.entries.get(wanted.id)
    if entry is None:
        begin(state, wanted)
        return
    entry.stray = False
    same = entry.model_version.model.spec.same_but_size(wanted.model.spec)
    if entry.phase in GOING:
        entry.then = wanted
    elif same and entry.phase is not Phase.STUCK:
        entry.leave, entry.then = False, None
        if entry.model_version != wanted:  # other counts, another size: loaded the same, reported as ordered last
            entry.model_version = wanted
            state.effects.append(state.saved(entry))
            if entry.phase in (Phase.FETCHING, Phase.WAITING):
                state.assignments.need(entry, state.need(wanted, entry.copies))
        state.assignments.account(entry)
        if entry.phase is Phase.LOADED:
            state.answer(wanted.id, ModelEventKind.LOADED)
    else:
        entry.then = wanted
        _leave(state, entry, LoadOrdered)


def unload_ordered(state: State, version: VersionId) -> None:
    entry = state.entries.get(version)
    if entry is None:
        state.answer(version, ModelEventKind.UNLOADED)
        return
    entry.stray = False
    entry.then = None
    if entry.phase not in GOING:
        _leave(state, entry, UnloadOrdered)


def begin(state: State, wanted: ModelVersion) -> None:
    """A version that is not here is wanted: fetch it, unless there is no room even for the promise."""
    version = wanted.id
    if VersionId.parse(str(version)) != version:
        sentence = f"{str(version)!r} cannot be a model version: names are DNS labels, versions begin at 1"
        state.answer(version, ModelEventKind.LOAD_FAILED, sentence)
        return
    need = state.need(wanted)
    if not state.ledger.assignable(need):
        state.answer(version, ModelEventKind.LOAD_FAIL_MEMORY, state.no_room(version, need))
        return
    state.enter(wanted, Phase.FETCHING, LoadOrdered)
    state.effects += [Save(wanted), Fetch(wanted)]


def _leave(state: State, entry: Entry, cause: type) -> None:
    """Start it on its way out, from wherever it is."""
    if entry.phase is Phase.FETCHING:
        state.move(entry, Phase.CANCELLING, cause)
        state.effects.append(CancelFetch(entry.model_version.id))
    elif entry.phase is Phase.LOADING:
        entry.leave = True
        state.assignments.account(entry)
    else:
        entry.attempts = 0
        state.move(entry, Phase.LEAVING, cause)
