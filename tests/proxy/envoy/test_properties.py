"""Snapshot, stream and fleet with model Envoys: any order of changes, answers, refusals, losses and restarts."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modelyard.proxy.desired import Changes, Endpoint, Route, Variant
from modelyard.proxy.envoy.snapshot import Snapshot
from tests.proxy.envoy.model import BAD_MODEL, BAD_PORT, LEASE_SECONDS, ModelEnvoy, World

SETS = ("a:0", "b:0", "a:0;b:0")
MODELS = ("iris", "wine", "digits", "rose")
PORTS = st.sampled_from((1000, 2000, 3000, 4000, BAD_PORT))
ROUTES = st.lists(
    st.tuples(st.sampled_from(SETS), st.sampled_from(("m_1", "m_2", "m_3", "m_4", "m_5", BAD_MODEL))),
    min_size=1,
    max_size=2,
)


class Gateways(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.version = 0
        self.sets: dict[str, int] = {}
        self.routes: dict[str, Route] = {}
        self.draw_part = 0
        self.envoys = [ModelEnvoy(f"g{number}", lambda n: self.draw_part % (n + 1)) for number in (1, 2)]

    def _number_of(self, envoy: ModelEnvoy) -> int | None:
        return next((number for number, link in self.world.links.items() if link.envoy is envoy), None)

    def _apply(self, sets: dict[str, int | None], routes: dict[str, Route | None]) -> None:
        self.version += 1
        self.world.apply(_changes(self.version, sets, routes))

    @rule(changes=st.dictionaries(st.sampled_from(MODELS), st.none() | ROUTES, min_size=1), port=PORTS)
    def routes_change(self, changes: dict[str, list[tuple[str, str]] | None], port: int) -> None:
        routes = {
            model: None if it is None else Route(tuple(Variant(*each) for each in it)) for model, it in changes.items()
        }
        sets = {}
        for model, route in routes.items():
            self.routes.pop(model, None)
            if route is not None:
                self.routes[model] = route
                sets |= {it.replica_set: port for it in route.variants if it.replica_set not in self.sets}
        used = {variant.replica_set for route in self.routes.values() for variant in route.variants}
        self.sets |= sets
        gone = self.sets.keys() - used
        self.sets = {name: it for name, it in self.sets.items() if name in used}
        self._apply({**sets, **dict.fromkeys(gone)}, routes)

    @precondition(lambda self: self.sets)
    @rule(data=st.data(), port=PORTS)
    def endpoint_moves(self, data: st.DataObject, port: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.sets)))
        self.sets[name] = port
        self._apply({name: port}, {})

    @rule()
    def everybody_comes_and_all_settles(self) -> None:
        for envoy in self.envoys:
            if self._number_of(envoy) is None:
                self.world.connect(envoy)
        self.world.settle()

    @rule(which=st.integers(0, 1))
    def connects(self, which: int) -> None:
        if self._number_of(self.envoys[which]) is None:
            self.world.connect(self.envoys[which])

    @precondition(lambda self: self.routes)
    @rule(data=st.data())
    def a_route_goes_and_comes_back(self, data: st.DataObject) -> None:
        model = data.draw(st.sampled_from(sorted(self.routes)))
        self._apply({}, {model: None})
        self._apply({}, {model: self.routes[model]})

    @rule(which=st.integers(0, 1))
    def disconnects(self, which: int) -> None:
        if (number := self._number_of(self.envoys[which])) is not None:
            self.world.disconnect(number)

    @rule(which=st.integers(0, 1), times=st.integers(1, 4), part=st.integers(0, 3))
    def answers(self, which: int, times: int, part: int) -> None:
        self.draw_part = part
        if (number := self._number_of(self.envoys[which])) is not None:
            for _ in range(times):
                self.world.step(number)

    @rule(seconds=st.floats(0.1, 2 * LEASE_SECONDS))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(back=st.sets(st.integers(0, 1)))
    def control_plane_restarts(self, back: set[int]) -> None:
        """Gateways return before the state is rebuilt, and nothing may be sent until it is."""
        self.world.restart(Snapshot(), opened=False)
        held = [(dict(it.clusters), dict(it.scopes)) for it in self.envoys]
        for which in back:
            self.world.connect(self.envoys[which])
        self._apply(dict(self.sets), dict(self.routes))
        assert held == [(it.clusters, it.scopes) for it in self.envoys]
        assert not any(it.inbox for it in self.envoys if self._number_of(it) is not None)
        assert self.world.live == {}
        self.world.open()

    @invariant()
    def every_scope_held_resolves(self) -> None:
        for envoy in self.envoys:
            for names in envoy.named.values():
                assert names <= envoy.clusters.keys()

    def teardown(self) -> None:
        """Faults stop: everything comes to rest, and is as wanted or refused."""
        self.world.settle()
        self.world.wait(2 * LEASE_SECONDS)
        assert self.world.fleet.pending() <= self.world.refused.keys(), "the lost hold nobody up for ever"
        self.everybody_comes_and_all_settles()
        snapshot = self.world.snapshot
        bad_sets = {name for name, port in self.sets.items() if port == BAD_PORT}
        refused = {model for model, route in self.routes.items() if _is_refused(route, bad_sets)}
        for envoy in self.envoys:
            for model in self.routes.keys() - refused:
                assert envoy.scopes.get(model) == snapshot.scopes[model].version, f"{envoy.id} lacks {model}"
            assert envoy.scopes.keys() <= self.routes.keys()
            assert envoy.partial <= self.routes.keys()
            if not refused:
                assert envoy.scopes == {name: it.version for name, it in snapshot.scopes.items()}
                assert envoy.clusters == {name: it.version for name, it in snapshot.clusters.items()}
        pending = self.world.fleet.pending()
        assert pending <= refused, f"{pending - refused} never live"
        assert pending <= self.world.refused.keys()
        if not refused and not bad_sets:
            before = len(self.world.sent)
            for number in list(self.world.links):
                self.world.disconnect(number)
            for envoy in self.envoys:
                self.world.connect(envoy)
            again = self.world.sent[before:]
            assert not [send for send in again if send.additions or send.removals], "unchanged, and sent again"


def _is_refused(route: Route, bad_sets: set[str]) -> bool:
    header_is_bad = any(it.internal_model == BAD_MODEL for it in route.variants)
    return header_is_bad or any(it.replica_set in bad_sets for it in route.variants)


def _changes(version: int, sets: dict[str, int | None], routes: dict[str, Route | None]) -> Changes:
    return Changes(
        version,
        {name: None if port is None else {"it/0": Endpoint("127.0.0.1", port, 3000)} for name, port in sets.items()},
        routes,
    )


TestGateways = Gateways.TestCase
TestGateways.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_a_route_is_not_live_while_a_gateway_that_has_it_lacks_where_it_leads_to_now() -> None:
    world = World()
    fast, slow = (ModelEnvoy(name, lambda _: 0) for name in ("fast", "slow"))
    for envoy in (fast, slow):
        world.connect(envoy)
    world.settle()
    world.apply(_changes(1, {"a:0": 1000}, {"iris": Route((Variant("a:0", "m_1"),))}))
    number_of = {link.envoy.id: number for number, link in world.links.items()}
    while world.step(number_of[fast.id]):
        pass
    assert world.live == {}
    world.apply(_changes(2, {"a:0": 2000}, {}))
    while world.step(number_of[slow.id]):  # the world looks at every gateway when a route is said to be live
        pass
    world.settle()
    assert world.live == {"iris": 1}
