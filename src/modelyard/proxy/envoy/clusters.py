"""A replica set as Envoy clusters: one over HTTP/1.1 for REST, one over HTTP/2 for gRPC."""

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping

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
_UNLIMITED = wrappers_pb2.UInt32Value(value=1 << 30)
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def name(replica_set: str, protocol: str) -> str:
    """`local:0,1.http`; the names of large sets are shortened by a hash."""
    if len(replica_set) > LONGEST_NAME:
        digest = hashlib.blake2b(replica_set.encode(), digest_size=10).hexdigest()
        replica_set = f"{replica_set[: LONGEST_NAME - 20]}~{digest}"
    return f"{replica_set}.{protocol}"


def build(replica_set: str, endpoints: Mapping[str, Endpoint] | None) -> Iterator[tuple[str, Resource | None]]:
    """The set's clusters by name; None where the set is removed."""
    for protocol in (HTTP, GRPC):
        cluster_name = name(replica_set, protocol)
        if endpoints is None:
            yield cluster_name, None
        else:
            addresses = sorted({_address(endpoint, protocol) for endpoint in endpoints.values()})
            yield cluster_name, resource(cluster_name, CLUSTER_TYPE, _cluster(cluster_name, protocol, addresses))


def _address(endpoint: Endpoint, protocol: str) -> tuple[str, int]:
    return endpoint.host, endpoint.http_port if protocol == HTTP else endpoint.grpc_port


def _cluster(cluster_name: str, protocol: str, addresses: list[tuple[str, int]]) -> cluster_pb2.Cluster:
    by_ip = all(_is_ip(host) for host, _ in addresses)
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
        typed_extension_protocol_options={_OPTIONS: _protocol_options(protocol)},
    )
    if not by_ip:
        cluster.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
        cluster.dns_refresh_rate.seconds = 2
    return cluster


def _endpoint(host: str, port: int) -> endpoint_components_pb2.LbEndpoint:
    address = address_pb2.Address(socket_address=address_pb2.SocketAddress(address=host, port_value=port))
    return endpoint_components_pb2.LbEndpoint(endpoint=endpoint_components_pb2.Endpoint(address=address))


def _protocol_options(protocol: str) -> any_pb2.Any:
    options = http_protocol_options_pb2.HttpProtocolOptions(
        common_http_protocol_options=protocol_pb2.HttpProtocolOptions(
            idle_timeout=duration_pb2.Duration(seconds=IDLE_SECONDS)
        )
    )
    if protocol == HTTP:
        options.explicit_http_config.http_protocol_options.SetInParent()
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
