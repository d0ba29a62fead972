"""The agent's own start, its server and its session: what was there before, and is found again. Pure."""

from modelyard.agent import sizing
from modelyard.agent.messages import Restored, ServerDown, ServerReady, SessionOpened, Subscribe
from modelyard.agent.phases import Phase
from modelyard.agent.state import State
from modelyard.domain.agent_protocol import ModelEventKind, ModelVersion
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.names import VersionId

# Nobody orders the unload of a stray again, so the agent itself does.
STRAY_RETRY_SECONDS = 30.0


def restored(state: State, event: Restored) -> None:
    for kept in event.kept:
        assert kept.model_version.id not in state.entries
        entry = state.enter(kept.model_version, Phase.WAITING, Restored)
        entry.artifact = kept.artifact
        state.holds(entry, kept.copies)
        if kept.measured_bytes is not None:
            state.assignments.measure(entry, kept.measured_bytes)
    for version in event.strays:
        if version not in state.entries:
            _stray(state, version, Restored)
    state.damaged = event.damaged


def _stray(state: State, version: VersionId, cause: type) -> None:
    nobodys = ModelVersion(Model(version.model, ModelSpec(Artifact(""))), version.version)
    state.enter(nobodys, Phase.LEAVING, cause).stray = True


def server_ready(state: State, event: ServerReady) -> None:
    state.server_up = True
    state.assignments.settled = False
    for version in [*state.assignments.queue, *(v for v, e in state.entries.items() if e.phase is Phase.LOADED)]:
        entry = state.entries[version]
        held = str(version) in event.models
        if entry.changed_at >= event.asked_at:
            continue
        if entry.phase is Phase.WAITING and held:
            sizing.is_loaded(state, entry, ServerReady)
        elif entry.phase is Phase.LOADED and not held:
            state.move(entry, Phase.WAITING, ServerReady)
    for entry in state.entries.values():
        if entry.phase is Phase.STUCK and entry.stray and state.now - entry.changed_at >= STRAY_RETRY_SECONDS:
            entry.attempts = 0
            state.move(entry, Phase.LEAVING, ServerReady)
    for name in sorted(event.models):
        held_version = VersionId.parse(name)
        if held_version is not None and held_version not in state.entries:
            _stray(state, held_version, ServerReady)


def server_down(state: State) -> None:
    state.server_up = False
    for entry in state.entries.values():
        if entry.phase is Phase.LOADED:
            # It keeps the time of its last change: the server may only have been slow, and hold it still.
            state.assignments.move(entry, Phase.WAITING, ServerDown, entry.changed_at)
        elif entry.phase is Phase.STUCK:
            entry.attempts = 0
            state.move(entry, Phase.LEAVING, ServerDown)


def session_opened(state: State, session: str) -> None:
    state.session = session
    state.effects.append(Subscribe(session, state.subscription()))
    if state.damaged:
        state.damaged = False
        state.tell(ModelEventKind.RSYNC, None, "the agent's state on disk was damaged")
    state.assignments.changed.update(state.entries)
    for entry in state.entries.values():
        if entry.phase is Phase.STUCK:  # nobody may know of it any more
            entry.attempts = 0
            state.move(entry, Phase.LEAVING, SessionOpened)
