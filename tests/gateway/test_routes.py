"""From placements to routes and replica sets."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.gateway.routes import RouteTable, Serving, set_id
from modelyard.proxy.desired import Changes, Endpoint, Route, Variant
from modelyard.proxy.envoy.snapshot import Snapshot

R0, R1, R2 = (ReplicaId("local", index) for index in range(3))


def at(port: int) -> ReplicaConfig:
    return ReplicaConfig("127.0.0.1", port, port + 1, memory_bytes=1)


def serving(version: int, *replicas: ReplicaId, weight: int | None = None) -> Serving:
    return Serving(VersionId("iris", version), frozenset(replicas), weight)


def table() -> RouteTable:
    made = RouteTable()
    for index, replica in enumerate((R0, R1, R2)):
        made.endpoint_changed(replica, at(1000 + 10 * index))
    return made


def test_a_route_brings_its_replica_set_and_each_replica_counts_one() -> None:
    it = table()
    it.set_route("iris", (serving(2, R0, R1),))
    assert it.changes(1) == Changes(
        1,
        {"local:0,1": {"local/0": Endpoint("127.0.0.1", 1000, 1001), "local/1": Endpoint("127.0.0.1", 1010, 1011)}},
        {"iris": Route((Variant("local:0,1", "iris_2", 2),))},
    )
    assert it.changes(2) is None


def test_a_set_goes_with_the_last_route_that_names_it() -> None:
    it = table()
    it.set_route("a", (serving(1, R0),))
    it.set_route("b", (serving(1, R0),))
    it.changes(1)
    it.set_route("a", None)
    assert it.changes(2) == Changes(2, {}, {"a": None})
    it.set_route("b", ())
    assert it.changes(3) == Changes(3, {"local:0": None}, {"b": None})


def test_a_moved_replica_changes_the_sets_it_is_in_and_no_route() -> None:
    it = table()
    it.set_route("a", (serving(1, R0, R1),))
    it.set_route("b", (serving(1, R2),))
    it.changes(1)
    it.endpoint_changed(R1, at(5000))
    changes = it.changes(2)
    assert changes is not None
    assert changes.replica_sets.keys() == {"local:0,1"}
    assert not changes.routes
    it.endpoint_changed(R1, at(5000))
    assert it.changes(3) is None
    it.endpoint_changed(R1, None)
    changes = it.changes(4)
    assert changes is not None
    assert changes.replica_sets == {"local:0,1": {"local/0": Endpoint("127.0.0.1", 1000, 1001)}}


def test_variants_keep_given_weights_and_those_without_replicas_drop_out() -> None:
    it = table()
    it.set_route("iris", (serving(1, R0, weight=9), serving(2, R1), serving(3)))
    changes = it.changes(1)
    assert changes is not None
    assert changes.routes["iris"] == Route((Variant("local:0", "iris_1", 9), Variant("local:1", "iris_2", 1)))


def test_a_set_that_comes_and_goes_between_two_looks_was_never_there() -> None:
    it = table()
    it.set_route("iris", (serving(1, R0),))
    it.set_route("iris", None)
    assert it.changes(1) == Changes(1, {}, {"iris": None})


def test_replicas_of_several_servers_have_one_name_whatever_their_order() -> None:
    assert set_id([R1, ReplicaId("gpu", 4), R0]) == "gpu:4;local:0,1"


REPLICAS = st.frozensets(st.sampled_from((R0, R1, R2)))
STEPS = st.lists(
    st.tuples(st.just("route"), st.sampled_from("abc"), st.lists(REPLICAS, max_size=2))
    | st.tuples(st.just("endpoint"), st.sampled_from((R0, R1, R2)), st.none() | st.integers(1, 3))
    | st.tuples(st.just("look"), st.none(), st.none()),
    max_size=30,
)


@given(steps=STEPS)
def test_whatever_happens_the_changes_resolve_and_add_up(steps: list[tuple[str, object, object]]) -> None:
    it, snapshot, version = RouteTable(), Snapshot(), 0
    wanted: dict[str, list[frozenset[ReplicaId]]] = {}
    for kind, who, what in [*steps, ("look", None, None)]:
        if kind == "route":
            assert isinstance(who, str)
            assert isinstance(what, list)
            it.set_route(who, tuple(serving(n, *replicas) for n, replicas in enumerate(what, 1)))
            wanted[who] = [replicas for replicas in what if replicas]
        elif kind == "endpoint":
            assert isinstance(who, ReplicaId)
            it.endpoint_changed(who, at(what) if isinstance(what, int) else None)
        else:
            version += 1
            if (changes := it.changes(version)) is not None:
                snapshot.apply(changes)
    assert snapshot.scopes.keys() == {model for model, sets in wanted.items() if sets}
    sets = {set_id(replicas) for chosen in wanted.values() for replicas in chosen}
    assert snapshot.clusters.keys() == {f"{name}.{protocol}" for name in sets for protocol in ("http", "grpc")}
