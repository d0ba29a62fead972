"""What became of an effect: a fetch, a load, an unload. Pure."""

from modelyard.agent import orders, sizing
from modelyard.agent.assignments import Entry
from modelyard.agent.messages import Fetched, FetchFailed, Loaded, LoadFailed, UnloadFailed
from modelyard.agent.phases import Phase
from modelyard.agent.state import State
from modelyard.domain.agent_protocol import ModelEventKind

# How often a load is begun again because the server went away under it: a model may be what kills the server.
MOST_LOST_LOADS = 3
# An unload is tried again once.
MOST_UNLOADS = 2


def fetch_ended(state: State, event: Fetched | FetchFailed) -> None:
    entry = state.entries[event.version]
    if entry.phase is Phase.CANCELLING:
        gone(state, entry, type(event))
    elif isinstance(event, Fetched):
        entry.artifact = event.artifact
        state.holds(entry, event.copies)
        state.effects.append(state.saved(entry))
        state.move(entry, Phase.WAITING, Fetched)
    else:
        state.fail(entry, ModelEventKind.LOAD_FAILED, event.reason, FetchFailed)


def loaded(state: State, event: Loaded) -> None:
    entry = state.entries[event.version]
    entry.load_ms = event.load_ms
    entry.attempts = 0
    sizing.take_figure(state, entry, event.figure)
    if entry.leave:
        state.move(entry, Phase.LEAVING, Loaded)
    elif not state.server_up:  # it went down since: load again when it is back
        state.move(entry, Phase.WAITING, Loaded)
    else:
        sizing.is_loaded(state, entry, Loaded)


def load_failed(state: State, event: LoadFailed) -> None:
    entry = state.entries[event.version]
    entry.attempts += 1
    if event.lost:
        state.lost_server()
    if entry.leave and event.lost:
        state.move(entry, Phase.LEAVING, LoadFailed)
    elif entry.leave:
        gone(state, entry, LoadFailed)
    elif event.lost and entry.attempts < MOST_LOST_LOADS:
        state.move(entry, Phase.WAITING, LoadFailed)
    elif event.lost:
        sentence = f"the inference server went away {entry.attempts} times while it loaded: {event.reason}"
        state.fail(entry, ModelEventKind.LOAD_FAILED, sentence, LoadFailed)
    else:
        state.fail(entry, ModelEventKind.LOAD_FAILED, event.reason, LoadFailed)


def unload_failed(state: State, event: UnloadFailed) -> None:
    entry = state.entries[event.version]
    entry.attempts += 1
    if event.lost:
        state.lost_server()
        entry.attempts = 0
    if entry.attempts < MOST_UNLOADS:
        state.move(entry, Phase.LEAVING, UnloadFailed)
        return
    state.move(entry, Phase.STUCK, UnloadFailed)
    if entry.then is not None:
        sentence = f"the copy that is still in memory could not be unloaded: {event.reason}"
        entry.then = None
        state.answer(event.version, ModelEventKind.LOAD_FAILED, sentence)
    elif not entry.stray:
        state.answer(event.version, ModelEventKind.UNLOAD_FAILED, event.reason)


def gone(state: State, entry: Entry, cause: type) -> None:
    """It has left. What was to follow follows."""
    then, version = entry.then, entry.model_version.id
    state.exit(entry, cause)
    if then is not None:
        orders.begin(state, then)
    elif not entry.stray:
        state.answer(version, ModelEventKind.UNLOADED)
