"""What holds of every placement, whatever the servers and the demand."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.scheduler.placement.demand import Demand
from modelyard.scheduler.placement.filters import FILTERS
from modelyard.scheduler.placement.place import Placement, Unplaceable, place
from modelyard.scheduler.state import Link, Server
from tests.scheduler.placement.cluster import demand, replica, servers

CAPABILITIES = ("gpu", "onnx", "sklearn")
NAMES = [f"{server}/{index}" for server in "abc" for index in range(3)]


@st.composite
def clusters(draw: st.DrawFn) -> list[Server]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    replicas = [
        replica(
            name,
            memory=draw(st.integers(0, 5)) * 100,
            used=draw(st.integers(0, 3)) * 100,
            overcommit=draw(st.sampled_from([0, 50])),
            can=tuple(draw(st.lists(st.sampled_from(CAPABILITIES), unique=True))),
            link=draw(st.sampled_from([Link.CONNECTED, Link.CONNECTED, Link.SUSPECT])),
            shared=draw(st.sampled_from([True, True, False])),
            draining=draw(st.sampled_from([False, False, True])),
            available=draw(st.none() | st.integers(0, 500)),
        )
        for name in names
    ]
    found = servers(*replicas)
    if found and draw(st.booleans()):
        servers(*replicas, given_up=(found[0].name,))
    return found


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    wanted = draw(st.integers(1, 4))
    return demand(
        memory=draw(st.integers(0, 4)) * 100,
        replicas=wanted,
        minimum=draw(st.none() | st.integers(0, wanted)),
        requires=tuple(draw(st.lists(st.sampled_from(CAPABILITIES), max_size=2, unique=True))),
        server=draw(st.none() | st.sampled_from("abc")),
        held=tuple(draw(st.lists(st.sampled_from(NAMES), max_size=2))),
        loaded=tuple(draw(st.lists(st.sampled_from(NAMES), max_size=2))),
        failed=dict.fromkeys(draw(st.lists(st.sampled_from(NAMES), max_size=2)), "broken"),
    )


@given(demands(), clusters())
def test_what_is_chosen_passes_every_filter_on_one_server(it: Demand, where: list[Server]) -> None:
    outcome = place(it, where)
    if isinstance(outcome, Unplaceable):
        return
    server = next(s for s in where if s.name == outcome.server)
    for id in outcome.replicas:
        assert id.server == outcome.server
        assert [f(it, server, server.replicas[id.index]) for f in FILTERS] == [None] * len(FILTERS)
    assert len(set(outcome.replicas)) == len(outcome.replicas)


@given(demands(), clusters())
def test_the_count_is_between_enough_and_wanted_and_short_says_so(it: Demand, where: list[Server]) -> None:
    outcome = place(it, where)
    if isinstance(outcome, Placement):
        assert it.replicas.enough <= len(outcome.replicas) <= it.replicas.wanted
        assert bool(outcome.short) == (len(outcome.replicas) < it.replicas.wanted)


@given(demands(), clusters())
def test_a_full_placement_is_taken_wherever_there_is_one(it: Demand, where: list[Server]) -> None:
    def fitting(server: Server) -> int:
        return sum(all(f(it, server, r) is None for f in FILTERS) for r in server.replicas.values())

    most = max((fitting(server) for server in where), default=0)
    outcome = place(it, where)
    if most >= it.replicas.wanted:
        assert isinstance(outcome, Placement)
        assert not outcome.short
    assert isinstance(outcome, Placement) == (most >= it.replicas.enough)


@given(demands(), clusters())
def test_every_replica_has_a_reason_where_none_will_do(it: Demand, where: list[Server]) -> None:
    outcome = place(it, where)
    if isinstance(outcome, Unplaceable):
        assert outcome.reasons.keys() == {r.id for server in where for r in server.replicas.values()}
        assert all(outcome.reasons.values())
        assert outcome.summary


@given(demands(), clusters(), st.randoms(use_true_random=False))
def test_the_order_in_which_servers_are_listed_does_not_matter(it: Demand, where: list[Server], random: object) -> None:
    shuffled = list(where)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for server in shuffled:
        server.replicas = dict(reversed(server.replicas.items()))
    first, second = place(it, where), place(it, shuffled)
    assert isinstance(first, Placement) == isinstance(second, Placement)
    if isinstance(first, Placement) and isinstance(second, Placement):
        assert first.replicas == second.replicas
