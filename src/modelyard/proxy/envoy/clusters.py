"""A replica set as Envoy clusters: one for REST, one for gRPC.

REST goes over HTTP/1.1. gRPC goes over HTTP/2, or, where every replica of the set offers that, over HTTP/1.1 with
trailers. A gateway on a replica's machine takes its unix socket instead of its HTTP port, where it offers one.
"""

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import address_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import any_pb2, duration_pb2, wrappers_pb2

from modelyard.proxy.desired import Endpoint
from modelyard.proxy.envoy.resource import CLUSTER_TYPE, Resource, resource

HTTP = "http"
GRPC = "grpc"
LONGEST_NAME = 60
CONNECT_TIMEOUT_SECONDS = 1
# Below the keep-alive of the servers behind (uvicorn's is 5 s): Envoy should be the one who closes an idle connection,
# because a request sent into a closing one fails and is not repeated.
IDLE_SECONDS = 4
_Address: TypeAlias = tuple[str, int]
_UNLIMITED = wrappers_pb2.UInt32Value(value=1 << 30)
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def name(replica_set: str, protocol: str) -> str:
    """`local:0,1.http`; the names of large sets are shortened by a hash."""
    if len(replica_set) > LONGEST_NAME:
        digest = hashlib.blake2b(replica_set.encode(), digest_size=10).hexdigest()
        replica_set = f"{replica_set[: LONGEST_NAME - 20]}~{digest}"
    return f"{replica_set}.{protocol}"


def names(replica_set: str) -> tuple[str, ...]:
    return tuple(name(replica_set, protocol) for protocol in (HTTP, GRPC))


def build(replica_set: str, endpoints: Mapping[str, Endpoint], machine: str = "") -> Iterator[Resource]:
    """The set's clusters, as gateways on that machine should have them; empty: on any other."""
    members = endpoints.values()
    grpc_by_http1 = bool(members) and all(it.grpc_over_http1 for it in members)
    for protocol in (HTTP, GRPC):
        cluster_name = name(replica_set, protocol)
        by_http1 = protocol == HTTP or grpc_by_http1
        addresses = sorted({_address(it, by_http1, machine) for it in members})
        yield resource(cluster_name, CLUSTER_TYPE, _cluster(cluster_name, protocol, by_http1, addresses))


def machines(endpoints: Mapping[str, Endpoint]) -> frozenset[str]:
    """Those whose gateways have clusters of their own."""
    return frozenset(it.machine for it in endpoints.values() if it.unix_socket and it.machine)


def _address(endpoint: Endpoint, by_http1: bool, machine: str) -> _Address:
    """Host and port; of a unix socket the path and 0."""
    if by_http1 and machine and endpoint.unix_socket and endpoint.machine == machine:
        return endpoint.unix_socket, 0
    return endpoint.host, endpoint.http_port if by_http1 else endpoint.grpc_port


def _cluster(cluster_name: str, protocol: str, by_http1: bool, addresses: list[_Address]) -> cluster_pb2.Cluster:
    by_ip = all(port == 0 or _is_ip(host) for host, port in addresses)
    cluster = cluster_pb2.Cluster(
        name=cluster_name,
        type=cluster_pb2.Cluster.STATIC if by_ip else cluster_pb2.Cluster.STRICT_DNS,
        connect_timeout=duration_pb2.Duration(seconds=CONNECT_TIMEOUT_SECONDS),
        lb_policy=cluster_pb2.Cluster.LEAST_REQUEST,
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=cluster_name,
            endpoints=[
                endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[_endpoint(*each) for each in addresses])
            ],
        ),
        circuit_breakers=circuit_breaker_pb2.CircuitBreakers(
            thresholds=[
                circuit_breaker_pb2.CircuitBreakers.Thresholds(
                    max_connections=_UNLIMITED,
                    max_pending_requests=_UNLIMITED,
                    max_requests=_UNLIMITED,
                    max_retries=_UNLIMITED,
                )
            ]
        ),
        typed_extension_protocol_options={_OPTIONS: _protocol_options(protocol, by_http1)},
    )
    if not by_ip:
        cluster.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
        cluster.dns_refresh_rate.seconds = 2
    return cluster


def _endpoint(host: str, port: int) -> endpoint_components_pb2.LbEndpoint:
    if port == 0:
        address = address_pb2.Address(pipe=address_pb2.Pipe(path=host))
    else:
        address = address_pb2.Address(socket_address=address_pb2.SocketAddress(address=host, port_value=port))
    return endpoint_components_pb2.LbEndpoint(endpoint=endpoint_components_pb2.Endpoint(address=address))


def _protocol_options(protocol: str, by_http1: bool) -> any_pb2.Any:
    options = http_protocol_options_pb2.HttpProtocolOptions(
        common_http_protocol_options=protocol_pb2.HttpProtocolOptions(
            idle_timeout=duration_pb2.Duration(seconds=IDLE_SECONDS)
        )
    )
    if by_http1:
        options.explicit_http_config.http_protocol_options.SetInParent()
        options.explicit_http_config.http_protocol_options.enable_trailers = protocol == GRPC
    else:
        options.explicit_http_config.http2_protocol_options.SetInParent()
    packed = any_pb2.Any()
    packed.Pack(options, deterministic=True)
    return packed


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
