"""The agent's machine against a small world that crashes, loses answers, fails operations and changes its mind."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelyard.agent.machine import Agent, IllegalEvent
from modelyard.agent.messages import (
    Effect,
    Event,
    Fetch,
    Fetched,
    FetchFailed,
    Figure,
    Forget,
    Kept,
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
    Tell,
    Unload,
    Unloaded,
    UnloadFailed,
    UnloadOrdered,
)
from modelyard.agent.phases import Phase
from modelyard.domain.agent_protocol import ModelEventKind, ModelVersion
from modelyard.domain.names import VersionId
from modelyard.domain.server import ReplicaConfig
from tests.agent.stories import REPLICA, a_version

MEMORY = 100
MODELS = [
    a_version(name, version, memory, uri)
    for name, version, memory, uri in [
        ("a", 1, 30, "x"), ("a", 1, 50, "y"), ("a", 2, 30, "x"), ("b", 1, 60, "x"), ("c", 1, 0, "x"),
        ("d", 1, 100, "x"), ("e", 1, 101, "x"),
    ]
]  # fmt: skip
ENDS_LOAD = {ModelEventKind.LOADED, ModelEventKind.LOAD_FAILED, ModelEventKind.LOAD_FAIL_MEMORY}
ENDS_UNLOAD = {ModelEventKind.UNLOADED, ModelEventKind.UNLOAD_FAILED}


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.sessions = 0
        self.session: str | None = None
        self.alive = True
        self.restarted = False
        self.held: dict[VersionId, ModelVersion] = {}  # what the server really has in memory
        self.disk: dict[VersionId, Kept] = {}
        self.under_way: dict[VersionId, Fetch | Load | Unload] = {}
        self.owed: dict[VersionId, type] = {}
        self.last: dict[VersionId, ModelVersion | None] = {}
        self.answer: dict[VersionId, ModelEventKind] = {}
        self.sizes: dict[VersionId, int] = {}  # what the server would measure; else as declared
        self.start_agent()

    def start_agent(self) -> None:
        self.agent = Agent(REPLICA, ReplicaConfig("h", 1, 2, MEMORY), least_measured_bytes=0)
        self.tell(Restored(tuple(self.disk.values())))

    def tell(self, *events: Event) -> None:
        self.now += 1
        effects = self.agent.handle(events, self.now)
        if any(isinstance(effect, Load) for effect in effects):
            assert self.agent.ledger.in_memory_bytes <= MEMORY, "a load was started into overfull memory"
        for effect in effects:
            self.perform(effect)

    def perform(self, effect: Effect) -> None:
        match effect:
            case Save(model_version, artifact, measured_bytes):
                self.disk[model_version.id] = Kept(model_version, artifact, measured_bytes)
            case Forget(version):
                self.disk.pop(version, None)
                assert version not in self.held or not self.alive, "forgotten, yet in memory"
            case Fetch(model_version) | Load(model_version):
                assert model_version.id not in self.under_way
                self.under_way[model_version.id] = effect
            case Unload(version):
                assert version not in self.under_way
                self.under_way[version] = effect
            case Tell(session, event):
                assert session == self.session
                assert event.version is not None
                self.heard(event.version, event.kind)
            case _:
                pass

    def heard(self, version: VersionId, kind: ModelEventKind) -> None:
        owed = self.owed.pop(version, None)
        self.answer[version] = kind
        if owed is LoadOrdered:
            assert kind in ENDS_LOAD
        if owed is UnloadOrdered:
            assert kind in ENDS_UNLOAD
        if kind is ModelEventKind.UNLOADED:
            assert version not in self.held
            assert version not in self.disk

    @initialize()
    def all_is_well(self) -> None:
        self.the_watch_looks()
        self.a_session_opens()

    # What the world does ----------------------------------------------------------------------------------------

    @rule(model=st.sampled_from(MODELS))
    def load(self, model: ModelVersion) -> None:
        if self.session is not None:
            self.owed[model.id] = LoadOrdered
            self.last[model.id] = model
            self.tell(LoadOrdered(self.session, model))

    def unload(self, model: ModelVersion) -> None:
        if self.session is not None:
            self.owed[model.id] = UnloadOrdered
            self.last[model.id] = None
            self.tell(UnloadOrdered(self.session, model.id))

    @rule(model=st.sampled_from(MODELS))
    def load_without_trouble(self, model: ModelVersion) -> None:
        self.load(model)
        while model.id in self.under_way:
            self.end(model.id, "works")

    @rule(model=st.sampled_from(MODELS), orders=st.lists(st.booleans(), min_size=1, max_size=3))
    def minds_change_while_it_loads(self, model: ModelVersion, orders: list[bool]) -> None:
        self.load(model)
        if isinstance(self.under_way.get(model.id), Fetch):
            self.end(model.id, "works")
        for order in orders:
            (self.load if order else self.unload)(model)

    @precondition(lambda self: self.agent.entries and self.session is not None)
    @rule(pick=st.integers(0, 100))
    def unload_what_is_here(self, pick: int) -> None:
        entries = sorted(self.agent.entries)
        self.unload(self.agent.entries[entries[pick % len(entries)]].model_version)

    @rule(model=st.sampled_from(MODELS))
    def stale_orders_change_nothing_and_unknown_versions_are_unloaded(self, model: ModelVersion) -> None:
        assert self.agent.handle([UnloadOrdered("gone", model.id), LoadOrdered("gone", model)], self.now) == []
        if model.id not in self.agent.entries:
            self.unload(model)

    def illegal_events_change_nothing(self) -> None:
        before = repr(sorted(self.agent.entries.items()))
        for model in MODELS:
            if model.id not in self.under_way:
                for event in (Fetched(model.id, "z"), Loaded(model.id), Unloaded(model.id), LoadFailed(model.id, "")):
                    try:
                        self.agent.handle([event], self.now)
                    except IllegalEvent:
                        continue
                    raise AssertionError(f"{event} was legal")
        assert repr(sorted(self.agent.entries.items())) == before

    @precondition(lambda self: self.under_way)
    @rule(pick=st.integers(0, 100), outcome=st.sampled_from(["works", "works", "fails", "lost", "lost after all"]))
    def an_operation_ends(self, pick: int, outcome: str) -> None:
        version = sorted(self.under_way)[pick % len(self.under_way)]
        self.end(version, outcome)

    def end(self, version: VersionId, outcome: str) -> None:
        effect = self.under_way.pop(version)
        if not self.alive and not isinstance(effect, Fetch):
            outcome = "lost"
        match effect:
            case Fetch():
                self.tell(Fetched(version, "art") if outcome == "works" else FetchFailed(version, "cannot fetch"))
            case Load(model_version):
                if outcome in ("works", "lost after all"):
                    self.held[version] = model_version
                if outcome == "works":
                    self.tell(Loaded(version, 1, Figure(self.sizes.get(version))))
                else:
                    self.tell(LoadFailed(version, outcome, lost=outcome.startswith("lost")))
            case Unload():
                if outcome in ("works", "lost after all"):
                    self.held.pop(version, None)
                if outcome == "works":
                    self.tell(Unloaded(version))
                else:
                    self.tell(UnloadFailed(version, outcome, lost=outcome.startswith("lost")))

    def the_server_crashes(self) -> None:
        self.alive = False
        self.restarted = True
        self.held = {}

    def the_server_comes_back(self) -> None:
        self.break_calls()
        self.alive = True

    def break_calls(self) -> None:
        if not self.alive:
            for version, effect in list(self.under_way.items()):
                if not isinstance(effect, Fetch):
                    self.end(version, "lost")

    def the_watch_looks(self) -> None:
        if self.restarted:
            self.tell(ServerDown())
            self.restarted = not self.alive
        if self.alive:
            self.tell(ServerReady(frozenset(map(str, self.held)), self.now + 0.5))

    def the_server_measures(self) -> None:
        """Also what nobody changed: as declared, then."""
        if self.alive and not self.restarted:
            figures = {version: Figure(self.true_bytes(version)) for version in self.held}
            self.tell(Measured(figures, self.now + 0.5))
            for version in self.held:
                entry = self.agent.entries.get(version)
                if entry is not None and entry.phase is Phase.LOADED:
                    true, counted = self.true_bytes(version), self.agent.ledger.accounted_bytes(version)
                    assert abs(true - counted) * 20 <= max(true, counted)
                    assert counted <= MEMORY, "it does not fit even alone, and stays"

    def true_bytes(self, version: VersionId) -> int:
        return self.sizes.get(version, self.held[version].model.spec.memory_bytes or 0)

    @rule(model=st.sampled_from(MODELS), size=st.sampled_from([5, 20, 40, 60, 90, 120]))
    def it_takes_other_than_declared(self, model: ModelVersion, size: int) -> None:
        self.sizes[model.id] = size

    def the_server_is_slow(self) -> None:
        self.tell(ServerDown())

    def a_session_opens(self) -> None:
        self.sessions += 1
        self.session = f"s{self.sessions}"
        self.owed, self.answer, self.last = {}, {}, {}
        self.tell(SessionOpened(self.session))
        for loaded in self.agent.subscription().loaded:
            assert self.held.get(loaded.id) is not None or self.restarted

    def the_session_is_lost(self) -> None:
        if self.session is None:
            return
        lost, self.session = self.session, None
        self.owed, self.answer, self.last = {}, {}, {}
        self.tell(SessionLost(lost))

    def the_agent_is_killed(self) -> None:
        # Loads that the server had accepted go on without anybody waiting for them.
        for version, effect in self.under_way.items():
            if isinstance(effect, Load) and self.alive:
                self.held[version] = effect.model_version
        self.under_way, self.session = {}, None
        self.owed, self.answer, self.last = {}, {}, {}
        self.start_agent()

    @rule(
        trouble=st.sampled_from(
            [
                "the_server_crashes",
                "the_server_comes_back",
                "the_server_comes_back",
                "the_watch_looks",
                "the_watch_looks",
                "the_watch_looks",
                "the_server_measures",
                "the_server_measures",
                "the_server_is_slow",
                "a_session_opens",
                "a_session_opens",
                "the_session_is_lost",
                "the_agent_is_killed",
                "illegal_events_change_nothing",
            ]
        )
    )
    def there_is_trouble(self, trouble: str) -> None:
        getattr(self, trouble)()

    # What always holds ------------------------------------------------------------------------------------------

    @invariant()
    def memory_is_never_exceeded(self) -> None:
        """S1. Only what was measured to take more than declared may show that there is too much already."""
        if self.sizes:
            return
        loading = {v: e.model_version for v, e in self.under_way.items() if isinstance(e, Load)}
        inside = {**self.held, **loading}
        assert sum(it.model.spec.memory_bytes or 0 for it in inside.values()) <= MEMORY

    @invariant()
    def the_ledger_adds_up(self) -> None:
        ledger, entries = self.agent.ledger, self.agent.entries
        assert ledger.assigned_bytes == sum(ledger.accounted_bytes(v) for v in entries)
        for entry in entries.values():
            assert entry.model_version.model.spec.memory_bytes is not None or entry.stray

    @invariant()
    def what_waits_has_a_reason(self) -> None:
        if self.agent.server_up:
            leaving = self.agent.ledger.in_memory_leaving_bytes
            loading = [e for e in self.agent.entries.values() if e.phase is Phase.LOADING]
            suspect = any(e.attempts for e in loading)
            for entry in self.agent.entries.values():
                if entry.phase is Phase.WAITING:
                    assert leaving or suspect or (entry.attempts and loading)

    def teardown(self) -> None:
        """Once faults stop, every order is answered, and what is assigned is what is loaded."""
        self.the_server_comes_back()
        if self.session is None:
            self.a_session_opens()
        for _ in range(200):
            self.the_watch_looks()
            if not self.under_way:
                break
            self.end(min(self.under_way), "works")
            self.memory_is_never_exceeded()
        assert not self.under_way
        assert not self.owed
        stuck = {v for v, e in self.agent.entries.items() if e.phase is Phase.STUCK}
        assert set(self.held) - stuck == set(self.agent.entries) - stuck == set(self.disk) - stuck
        assert all(e.phase in (Phase.LOADED, Phase.STUCK) for e in self.agent.entries.values())
        for version, wanted in self.last.items():
            if wanted is None:
                assert version not in self.held or version in stuck
            elif self.answer[version] is ModelEventKind.LOADED:
                assert self.held[version].model.spec == wanted.model.spec


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
