"""The agent's decisions: what is in the memory and on the disk of one inference server.

Sans-IO. The agent owns its state and changes it in place; `handle` returns the effects to perform, in order. Every
order of the scheduler is answered by exactly one event (`Tell`), unless a later order for the same version overtook
it, or its session ended. The phases and what leads from one to the next: `phases.py`; the words: `messages.py`.
"""

from collections.abc import Iterable

from modelyard.agent.assignments import Assignments, Entry
from modelyard.agent.ledger import Ledger
from modelyard.agent.messages import (
    CancelFetch,
    CheckServer,
    Effect,
    Event,
    Fetch,
    Fetched,
    FetchFailed,
    Figure,
    Forget,
    Load,
    Loaded,
    LoadFailed,
    LoadOrdered,
    Measured,
    Restored,
    Save,
    ServerDown,
    ServerReady,
    SessionLost,
    SessionOpened,
    Subscribe,
    Tell,
    Unload,
    Unloaded,
    UnloadFailed,
    UnloadOrdered,
)
from modelyard.agent.phases import GOING, TRANSITIONS, Phase, Room
from modelyard.domain.agent_protocol import ModelEvent, ModelEventKind, ModelMeasure, ModelVersion, Subscription
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.kit.sizes import quantity

# How often a load is begun again because the server went away under it: a model may be what kills the server.
MOST_LOST_LOADS = 3
# An unload is tried again once.
MOST_UNLOADS = 2
# Nobody orders the unload of a stray again, so the agent itself does.
STRAY_RETRY_SECONDS = 30.0
# A small model measures next to nothing, and still costs its server something.
LEAST_MEASURED_BYTES = 64 << 10
# Figures waver from one look to the next: a new one counts when it differs by more than one part in so many.
MEASURE_PARTS = 20


class IllegalEvent(Exception):
    """The event cannot happen in this phase: a bug in the caller, never in the cluster.

    It changed nothing; `effects` are those of the events before it in the same batch, still to be performed.
    """

    def __init__(self, sentence: str, effects: tuple[Effect, ...]) -> None:
        super().__init__(sentence)
        self.effects = effects


class Agent:
    """The agent of one replica.

    `copies`: how many times its server holds each model (parallel workers); None where it holds one and says nothing.
    """

    def __init__(
        self,
        replica: ReplicaId,
        config: ReplicaConfig,
        *,
        shared: bool = True,
        copies: int | None = None,
        least_measured_bytes: int = LEAST_MEASURED_BYTES,
    ) -> None:
        self.replica = replica
        self.config = config
        self.shared = shared
        self.copies = copies
        self.least_measured_bytes = least_measured_bytes
        self.ledger = Ledger(config.memory_bytes, config.overcommit_percent)
        self._assignments = Assignments(self.ledger)
        self.entries = self._assignments.entries
        self.session: str | None = None
        self.server_up = False
        self.stale_orders = 0
        self._started = False
        self._damaged = False
        self._now = 0.0
        self._effects: list[Effect] = []

    # What may be asked ------------------------------------------------------------------------------------------

    def subscription(self) -> Subscription:
        """How the agent would present its replica now."""
        loaded = (e.model_version for e in self.entries.values() if e.phase is Phase.LOADED)
        return Subscription(self.replica, self.config, self.shared, tuple(loaded), self.ledger.available_bytes)

    def take_measures(self) -> tuple[ModelMeasure, ...]:
        """What is known of the versions that changed since this was last asked."""
        it = self._assignments
        changed, it.changed = it.changed, set()
        parted, it.parted = it.parted, {}
        here = [
            ModelMeasure(
                version=version,
                measured_bytes=entry.measured_bytes,
                resident=entry.phase is Phase.LOADED,
                load_ms=entry.load_ms,
                note=entry.note,
            )
            for version in sorted(changed)
            if (entry := self.entries.get(version)) is not None
        ]
        gone = [ModelMeasure(version, size, resident=False) for version, size in sorted(parted.items())]
        return (*here, *gone)

    def tell_all(self) -> None:
        """Whoever heard of the versions may not have listened."""
        self._assignments.changed.update(self.entries)

    def give_back(self, measures: Iterable[ModelMeasure]) -> None:
        """They were not told after all."""
        for it in measures:
            if it.version in self.entries:
                self._assignments.changed.add(it.version)
            elif it.measured_bytes is not None:
                self._assignments.parted[it.version] = it.measured_bytes

    # Events in, effects out -------------------------------------------------------------------------------------

    def handle(self, events: Iterable[Event], now: float) -> list[Effect]:
        """Raises `IllegalEvent`."""
        self._effects = []
        self._now = now
        for event in events:
            self._check(event)
            self._observe(event)
            self._started = True
            self._settle()
        return self._effects

    def _check(self, event: Event) -> None:
        match event:
            case LoadOrdered() | UnloadOrdered() | SessionOpened() | SessionLost():
                return
            case ServerReady() | ServerDown() | Measured():
                return
            case Restored():
                where, legal = "the agent has started", not self._started
            case _:
                entry = self.entries.get(event.version)
                where = entry.phase.name if entry else "not here"
                legal = ((entry.phase if entry else None), type(event)) in TRANSITIONS
        if not legal:
            raise IllegalEvent(f"{event} while {where}", tuple(self._effects))

    def _observe(self, event: Event) -> None:
        match event:
            case Restored():
                self._restored(event)
            case ServerReady():
                self._server_ready(event)
            case ServerDown():
                self._server_down()
            case Measured():
                self._measured(event)
            case SessionOpened(session):
                self._session_opened(session)
            case SessionLost(session):
                self.session = None if self.session == session else self.session
            case LoadOrdered(session) | UnloadOrdered(session) if session != self.session:
                self.stale_orders += 1
            case LoadOrdered():
                self._load_ordered(event.model_version)
            case UnloadOrdered(_, version):
                self._unload_ordered(version)
            case Fetched() | FetchFailed():
                self._fetch_ended(event)
            case Loaded():
                self._loaded(event)
            case LoadFailed():
                self._load_failed(event)
            case Unloaded(version):
                self._gone(self.entries[version], Unloaded)
            case UnloadFailed():
                self._unload_failed(event)

    # The agent's own start, its server, its session -------------------------------------------------------------

    def _restored(self, event: Restored) -> None:
        for kept in event.kept:
            assert kept.model_version.id not in self.entries
            entry = self._enter(kept.model_version, Phase.WAITING, Restored)
            entry.artifact = kept.artifact
            self._holds(entry, kept.copies)
            if kept.measured_bytes is not None:
                self._assignments.measure(entry, kept.measured_bytes)
        for version in event.strays:
            if version not in self.entries:
                self._stray(version, Restored)
        self._damaged = event.damaged

    def _stray(self, version: VersionId, cause: type) -> None:
        nobodys = ModelVersion(Model(version.model, ModelSpec(Artifact(""))), version.version)
        self._enter(nobodys, Phase.LEAVING, cause).stray = True

    def _server_ready(self, event: ServerReady) -> None:
        self.server_up = True
        self._assignments.settled = False
        for version in [*self._assignments.queue, *(v for v, e in self.entries.items() if e.phase is Phase.LOADED)]:
            entry = self.entries[version]
            held = str(version) in event.models
            if entry.changed_at >= event.asked_at:
                continue
            if entry.phase is Phase.WAITING and held:
                self._is_loaded(entry, ServerReady)
            elif entry.phase is Phase.LOADED and not held:
                self._move(entry, Phase.WAITING, ServerReady)
        for entry in self.entries.values():
            if entry.phase is Phase.STUCK and entry.stray and self._now - entry.changed_at >= STRAY_RETRY_SECONDS:
                entry.attempts = 0
                self._move(entry, Phase.LEAVING, ServerReady)
        for name in sorted(event.models):
            held_version = VersionId.parse(name)
            if held_version is not None and held_version not in self.entries:
                self._stray(held_version, ServerReady)

    def _server_down(self) -> None:
        self.server_up = False
        for entry in self.entries.values():
            if entry.phase is Phase.LOADED:
                # It keeps the time of its last change: the server may only have been slow, and hold it still.
                self._assignments.move(entry, Phase.WAITING, ServerDown, entry.changed_at)
            elif entry.phase is Phase.STUCK:
                entry.attempts = 0
                self._move(entry, Phase.LEAVING, ServerDown)

    def _session_opened(self, session: str) -> None:
        self.session = session
        self._effects.append(Subscribe(session, self.subscription()))
        if self._damaged:
            self._damaged = False
            self._tell(ModelEventKind.RSYNC, None, "the agent's state on disk was damaged")
        self._assignments.changed.update(self.entries)
        for entry in self.entries.values():
            if entry.phase is Phase.STUCK:  # nobody may know of it any more
                entry.attempts = 0
                self._move(entry, Phase.LEAVING, SessionOpened)

    # What the server measures -----------------------------------------------------------------------------------

    def _measured(self, event: Measured) -> None:
        for version, figure in event.figures.items():
            entry = self.entries.get(version)
            if entry is None or entry.phase is not Phase.LOADED or entry.changed_at >= event.asked_at:
                continue
            self._take_figure(entry, figure)
            if self.ledger.too_large(version):
                self._refuse_loaded(entry, Measured)

    def _take_figure(self, entry: Entry, figure: Figure) -> None:
        if figure.note != entry.note:
            entry.note = figure.note
            self._assignments.changed.add(entry.model_version.id)
        if figure.memory_bytes is None:
            return
        now, before = max(figure.memory_bytes, self.least_measured_bytes), entry.measured_bytes
        if before is None or abs(now - before) * MEASURE_PARTS > before:
            self._assignments.measure(entry, now)
            self._effects.append(self._saved(entry))

    def _is_loaded(self, entry: Entry, cause: type) -> None:
        """The server holds it. What is too large for the replica even by itself does not stay."""
        if self.ledger.too_large(entry.model_version.id):
            self._refuse_loaded(entry, cause)
            return
        self._move(entry, Phase.LOADED, cause)
        self._answer(entry.model_version.id, ModelEventKind.LOADED)

    def _refuse_loaded(self, entry: Entry, cause: type) -> None:
        """Who ordered it hears now that it cannot stay; its bytes count until the server has given them back."""
        version = entry.model_version.id
        size, memory = self.ledger.accounted_bytes(version), self.ledger.memory_bytes
        measured = "" if entry.measured_bytes is None else f" as measured ({self._declared(entry)} declared)"
        sentence = (
            f"{version} takes {quantity(size)} of memory{measured}; "
            f"{self.replica} has {quantity(memory)} in all, so it is unloaded again"
        )
        entry.attempts = 0
        self._move(entry, Phase.LEAVING, cause)
        self._answer(version, ModelEventKind.LOAD_FAIL_MEMORY, sentence)
        entry.stray = True

    # Orders -----------------------------------------------------------------------------------------------------

    def _load_ordered(self, wanted: ModelVersion) -> None:
        entry = self.entries.get(wanted.id)
        if entry is None:
            self._begin(wanted)
            return
        entry.stray = False
        same = entry.model_version.model.spec.same_but_size(wanted.model.spec)
        if entry.phase in GOING:
            entry.then = wanted
        elif same and entry.phase is not Phase.STUCK:
            entry.leave, entry.then = False, None
            if entry.model_version != wanted:  # other counts, another size: loaded the same, reported as ordered last
                entry.model_version = wanted
                self._effects.append(self._saved(entry))
                if entry.phase in (Phase.FETCHING, Phase.WAITING):
                    self._assignments.need(entry, self._need(wanted, entry.copies))
            self._assignments.account(entry)
            if entry.phase is Phase.LOADED:
                self._answer(wanted.id, ModelEventKind.LOADED)
        else:
            entry.then = wanted
            self._leave(entry, LoadOrdered)

    def _unload_ordered(self, version: VersionId) -> None:
        entry = self.entries.get(version)
        if entry is None:
            self._answer(version, ModelEventKind.UNLOADED)
            return
        entry.stray = False
        entry.then = None
        if entry.phase not in GOING:
            self._leave(entry, UnloadOrdered)

    def _begin(self, wanted: ModelVersion) -> None:
        """A version that is not here is wanted: fetch it, unless there is no room even for the promise."""
        version = wanted.id
        if VersionId.parse(str(version)) != version:
            sentence = f"{str(version)!r} cannot be a model version: names are DNS labels, versions begin at 1"
            self._answer(version, ModelEventKind.LOAD_FAILED, sentence)
            return
        need = self._need(wanted)
        if not self.ledger.assignable(need):
            self._answer(version, ModelEventKind.LOAD_FAIL_MEMORY, self._no_room(version, need))
            return
        self._enter(wanted, Phase.FETCHING, LoadOrdered)
        self._effects += [Save(wanted), Fetch(wanted)]

    def _leave(self, entry: Entry, cause: type) -> None:
        """Start it on its way out, from wherever it is."""
        if entry.phase is Phase.FETCHING:
            self._move(entry, Phase.CANCELLING, cause)
            self._effects.append(CancelFetch(entry.model_version.id))
        elif entry.phase is Phase.LOADING:
            entry.leave = True
            self._assignments.account(entry)
        else:
            entry.attempts = 0
            self._move(entry, Phase.LEAVING, cause)

    # What became of an effect -----------------------------------------------------------------------------------

    def _fetch_ended(self, event: Fetched | FetchFailed) -> None:
        entry = self.entries[event.version]
        if entry.phase is Phase.CANCELLING:
            self._gone(entry, type(event))
        elif isinstance(event, Fetched):
            entry.artifact = event.artifact
            self._holds(entry, event.copies)
            self._effects.append(self._saved(entry))
            self._move(entry, Phase.WAITING, Fetched)
        else:
            self._failed(entry, ModelEventKind.LOAD_FAILED, event.reason, FetchFailed)

    def _loaded(self, event: Loaded) -> None:
        entry = self.entries[event.version]
        entry.load_ms = event.load_ms
        entry.attempts = 0
        self._take_figure(entry, event.figure)
        if entry.leave:
            self._move(entry, Phase.LEAVING, Loaded)
        elif not self.server_up:  # it went down since: load again when it is back
            self._move(entry, Phase.WAITING, Loaded)
        else:
            self._is_loaded(entry, Loaded)

    def _load_failed(self, event: LoadFailed) -> None:
        entry = self.entries[event.version]
        entry.attempts += 1
        if event.lost:
            self._lost_server()
        if entry.leave and event.lost:
            self._move(entry, Phase.LEAVING, LoadFailed)
        elif entry.leave:
            self._gone(entry, LoadFailed)
        elif event.lost and entry.attempts < MOST_LOST_LOADS:
            self._move(entry, Phase.WAITING, LoadFailed)
        elif event.lost:
            sentence = f"the inference server went away {entry.attempts} times while it loaded: {event.reason}"
            self._failed(entry, ModelEventKind.LOAD_FAILED, sentence, LoadFailed)
        else:
            self._failed(entry, ModelEventKind.LOAD_FAILED, event.reason, LoadFailed)

    def _lost_server(self) -> None:
        self.server_up = False  # until it has been looked at
        self._effects.append(CheckServer())

    def _unload_failed(self, event: UnloadFailed) -> None:
        entry = self.entries[event.version]
        entry.attempts += 1
        if event.lost:
            self._lost_server()
            entry.attempts = 0
        if entry.attempts < MOST_UNLOADS:
            self._move(entry, Phase.LEAVING, UnloadFailed)
            return
        self._move(entry, Phase.STUCK, UnloadFailed)
        if entry.then is not None:
            sentence = f"the copy that is still in memory could not be unloaded: {event.reason}"
            entry.then = None
            self._answer(event.version, ModelEventKind.LOAD_FAILED, sentence)
        elif not entry.stray:
            self._answer(event.version, ModelEventKind.UNLOAD_FAILED, event.reason)

    def _gone(self, entry: Entry, cause: type) -> None:
        """It has left. What was to follow follows."""
        then, version = entry.then, entry.model_version.id
        self._exit(entry, cause)
        if then is not None:
            self._begin(then)
        elif not entry.stray:
            self._answer(version, ModelEventKind.UNLOADED)

    def _failed(self, entry: Entry, kind: ModelEventKind, sentence: str, cause: type) -> None:
        self._exit(entry, cause)
        self._answer(entry.model_version.id, kind, sentence)

    # What goes on by itself -------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Once the server is there: unload what leaves, load what waits and fits, refuse what never will.

        A load that lost its server before goes on alone: it may be the one that killed it.
        """
        while self.server_up and not self._assignments.settled:
            under_way = [it for it in self.entries.values() if it.phase is Phase.LOADING]
            loading, suspect = bool(under_way), any(it.attempts for it in under_way)
            self._assignments.settled = True
            for version in list(self._assignments.queue):
                entry = self.entries[version]
                if entry.phase is Phase.LEAVING:
                    self._move(entry, Phase.UNLOADING, Room)
                    self._effects.append(Unload(version))
                elif entry.artifact is None:
                    self._move(entry, Phase.FETCHING, Room)
                    self._effects.append(Fetch(entry.model_version))
                elif self.ledger.fits(version):
                    if suspect or (loading and entry.attempts):
                        continue
                    loading, suspect = True, entry.attempts > 0
                    self._move(entry, Phase.LOADING, Room)
                    self._effects.append(Load(entry.model_version, entry.artifact))
                elif not self.ledger.will_fit(version):
                    need = self.ledger.accounted_bytes(version)
                    self._failed(entry, ModelEventKind.LOAD_FAIL_MEMORY, self._no_room(version, need), Room)

    def _exit(self, entry: Entry, cause: type) -> None:
        self._assignments.exit(entry, cause)
        self._effects.append(Forget(entry.model_version.id))

    def _enter(self, model_version: ModelVersion, phase: Phase, cause: type) -> Entry:
        return self._assignments.enter(model_version, phase, cause, self._need(model_version), self._now)

    def _move(self, entry: Entry, phase: Phase, cause: type) -> None:
        self._assignments.move(entry, phase, cause, self._now)

    def _holds(self, entry: Entry, copies: int | None) -> None:
        """How many times the server will hold it is known: all of them count."""
        if copies is not None and copies != entry.copies:
            entry.copies = copies
            self._assignments.need(entry, self._need(entry.model_version, copies))

    def _saved(self, entry: Entry) -> Save:
        return Save(entry.model_version, entry.artifact, entry.measured_bytes)

    def _need(self, model_version: ModelVersion, copies: int | None = None) -> int:
        return (model_version.model.spec.memory_bytes or 0) * (copies or self.copies or 1)

    def _declared(self, entry: Entry) -> str:
        size = entry.model_version.model.spec.memory_bytes
        return "none" if size is None else quantity(self._need(entry.model_version, entry.copies))

    def _no_room(self, version: VersionId, need: int) -> str:
        ledger = self.ledger
        used = ledger.in_memory_bytes if version in self.entries else ledger.assigned_bytes
        free = quantity(max(0, ledger.memory_bytes - used))
        return (
            f"{version} needs {quantity(need)} of memory; "
            f"{self.replica} has {free} free of {quantity(ledger.memory_bytes)}"
        )

    def _answer(self, version: VersionId, kind: ModelEventKind, sentence: str = "") -> None:
        self._tell(kind, version, sentence)

    def _tell(self, kind: ModelEventKind, version: VersionId | None, sentence: str) -> None:
        if self.session is None:
            return
        entry = self.entries.get(version) if version is not None else None
        copies = (entry and entry.copies) or self.copies if kind is ModelEventKind.LOADED else None
        event = ModelEvent(self.replica, kind, version, sentence, self.ledger.available_bytes, copies)
        self._effects.append(Tell(self.session, event))
