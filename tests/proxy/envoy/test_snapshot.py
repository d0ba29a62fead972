"""The desired state as Envoy resources."""

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.service.discovery.v3 import discovery_pb2

from modelyard.proxy.desired import Changes, Endpoint, Route, Variant
from modelyard.proxy.envoy import clusters
from modelyard.proxy.envoy.resource import response
from modelyard.proxy.envoy.snapshot import Changed, Snapshot

HERE = {"local/0": Endpoint("127.0.0.1", 1, 2)}
IRIS = Route((Variant("local:0", "iris_1"),))


def made() -> Snapshot:
    snapshot = Snapshot()
    snapshot.apply(Changes(1, {"local:0": HERE}, {"iris": IRIS}))
    return snapshot


def test_a_set_is_a_cluster_per_protocol_and_a_route_names_both() -> None:
    snapshot = made()
    assert snapshot.clusters.keys() == {"local:0.http", "local:0.grpc"}
    assert snapshot.scopes["iris"].clusters == {"local:0.http", "local:0.grpc"}


def test_equal_content_has_an_equal_version_and_changes_nothing() -> None:
    snapshot, again = made(), made()
    assert snapshot.scopes == again.scopes
    assert snapshot.clusters == again.clusters
    assert snapshot.apply(Changes(2, {"local:0": dict(HERE)}, {"iris": IRIS})) == Changed()


def test_only_what_changes_is_said_to_change() -> None:
    snapshot = made()
    assert snapshot.apply(Changes(2, {}, {"wine": IRIS})) == Changed(scopes=frozenset({"wine"}))
    moved = {"local/0": Endpoint("127.0.0.1", 9, 2)}
    assert snapshot.apply(Changes(3, {"local:0": moved})) == Changed(frozenset({"local:0.http"}))
    gone = snapshot.apply(Changes(4, {"local:0": None}, {"iris": None, "wine": None}))
    assert gone == Changed(frozenset({"local:0.http", "local:0.grpc"}), frozenset({"iris", "wine"}))
    assert (snapshot.clusters, snapshot.scopes) == ({}, {})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(Changes(2, {}, {"wine": Route((Variant("gpu:0", "wine_1"),))}), id="a route names an unknown set"),
        pytest.param(Changes(2, {"local:0": None}), id="a set goes while a route names it"),
        pytest.param(Changes(2, {"local:0": None}, {"iris": IRIS}), id="a set goes and a route comes to it"),
        pytest.param(Changes(1), id="a version comes again"),
    ],
)
def test_what_does_not_resolve_is_a_bug_and_changes_nothing(changes: Changes) -> None:
    snapshot = made()
    with pytest.raises(AssertionError):
        snapshot.apply(changes)
    assert snapshot.version == 1
    assert snapshot.scopes == made().scopes


def test_long_set_names_are_shortened_and_stay_apart() -> None:
    names = {clusters.name("local:" + ",".join(map(str, range(count))), "http") for count in (60, 61, 62)}
    assert len(names) == 3
    assert all(len(name) <= clusters.LONGEST_NAME + 10 for name in names)


@pytest.mark.parametrize(("host", "kind"), [("10.0.0.1", "STATIC"), ("::1", "STATIC"), ("node-1", "STRICT_DNS")])
def test_only_host_names_are_resolved(host: str, kind: str) -> None:
    snapshot = Snapshot()
    snapshot.apply(Changes(1, {"local:0": {"local/0": Endpoint(host, 1, 2)}}))
    wrapped = discovery_pb2.Resource.FromString(snapshot.clusters["local:0.http"].encoded)
    cluster = cluster_pb2.Cluster.FromString(wrapped.resource.value)
    assert cluster_pb2.Cluster.DiscoveryType.Name(cluster.type) == kind


def test_a_response_put_together_from_bytes_is_a_discovery_response() -> None:
    snapshot = made()
    encoded = [it.encoded for it in snapshot.clusters.values()] * 100
    read = discovery_pb2.DeltaDiscoveryResponse.FromString(response("type", "n1", encoded, ["gone"], "7"))
    assert (read.type_url, read.nonce, list(read.removed_resources)) == ("type", "n1", ["gone"])
    assert len(read.resources) == 200
    assert {it.name for it in read.resources} == snapshot.clusters.keys()


OFFERED = Endpoint("127.0.0.1", 1, 2, grpc_over_http1=True, unix_socket="/a.sock", machine="m")
REMOTE = Endpoint("10.0.0.2", 3, 4, grpc_over_http1=True)
PLAIN = Endpoint("10.0.0.3", 5, 6)


def ways(snapshot: Snapshot, machine: str, name: str) -> tuple[set[str], bool]:
    """Where gateways on that machine go for this cluster, and whether they speak HTTP/1.1."""
    encoded = snapshot.view(machine).clusters[name].encoded
    cluster = cluster_pb2.Cluster.FromString(discovery_pb2.Resource.FromString(encoded).resource.value)
    (locality,) = cluster.load_assignment.endpoints
    addresses = [it.endpoint.address for it in locality.lb_endpoints]
    (packed,) = cluster.typed_extension_protocol_options.values()
    options = http_protocol_options_pb2.HttpProtocolOptions()
    packed.Unpack(options)
    return (
        {it.pipe.path or f"{it.socket_address.address}:{it.socket_address.port_value}" for it in addresses},
        options.explicit_http_config.HasField("http_protocol_options"),
    )


def test_only_gateways_on_the_same_machine_go_by_the_socket() -> None:
    snapshot = Snapshot()
    here, elsewhere = snapshot.view("m"), snapshot.view("n")
    snapshot.apply(Changes(1, {"s": {"a": OFFERED, "b": REMOTE}}))
    for name in ("s.http", "s.grpc"):
        assert ways(snapshot, "m", name) == ({"/a.sock", "10.0.0.2:3"}, True)
        assert ways(snapshot, "n", name) == ways(snapshot, "", name) == ({"127.0.0.1:1", "10.0.0.2:3"}, True)
        assert here.clusters[name].version != elsewhere.clusters[name].version == snapshot.clusters[name].version


def test_grpc_goes_over_http2_unless_all_replicas_of_the_set_offer_more() -> None:
    snapshot = Snapshot()
    snapshot.apply(Changes(1, {"s": {"a": OFFERED, "c": PLAIN}}))
    assert ways(snapshot, "m", "s.http") == ({"/a.sock", "10.0.0.3:5"}, True)
    assert ways(snapshot, "m", "s.grpc") == ({"127.0.0.1:2", "10.0.0.3:6"}, False)


def test_a_socket_that_goes_changes_only_what_named_it() -> None:
    snapshot = Snapshot()
    snapshot.apply(Changes(1, {"s": {"a": OFFERED}}, {"iris": Route((Variant("s", "iris_1"),))}))
    without = Endpoint("127.0.0.1", 1, 2, grpc_over_http1=True)
    assert snapshot.apply(Changes(2, {"s": {"a": without}})) == Changed(frozenset({"s.http", "s.grpc"}))
    assert ways(snapshot, "m", "s.grpc") == ({"127.0.0.1:1"}, True)
    assert snapshot.apply(Changes(3, {"s": {"a": OFFERED}})) == Changed(frozenset({"s.http", "s.grpc"}))
    gone = snapshot.apply(Changes(4, {"s": None}, {"iris": None}))
    assert gone == Changed(frozenset({"s.http", "s.grpc"}), frozenset({"iris"}))
    assert not snapshot.view("m").clusters
