"""One xDS resource, ready to be sent: its name, the hash of its content as its version, its bytes."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.route.v3 import scoped_route_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2

CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
SCOPE_TYPE = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"


@dataclass(frozen=True, slots=True)
class Resource:
    """`encoded` is a serialized discovery Resource: responses are put together without touching it again."""

    name: str
    version: str
    encoded: bytes
    clusters: frozenset[str] = frozenset()  # what it refers to


def resource(name: str, type_url: str, message: Any, clusters: Iterable[str] = ()) -> Resource:
    """The same content has the same version, in every process and after every restart."""
    content = message.SerializeToString(deterministic=True)
    version = hashlib.blake2b(content, digest_size=8).hexdigest()
    return Resource(name, version, _encode(name, version, type_url, content), frozenset(clusters))


def _encode(name: str, version: str, type_url: str, content: bytes) -> bytes:
    wrapped = discovery_pb2.Resource(name=name, version=version, resource=any_pb2.Any(type_url=type_url, value=content))
    encoded: bytes = wrapped.SerializeToString()
    return encoded


def regenerated(scope: Resource, generation: int) -> bytes:
    """The scope's bytes with a generation in its route configuration's name.

    After a refused response Envoy can acknowledge identical bytes without installing them; a new name is installed.
    The version stays that of the content.
    """
    wrapped = discovery_pb2.Resource.FromString(scope.encoded)
    inner = scoped_route_pb2.ScopedRouteConfiguration.FromString(wrapped.resource.value)
    inner.route_configuration.name = f"{scope.name}@{generation}"
    return _encode(scope.name, scope.version, SCOPE_TYPE, inner.SerializeToString(deterministic=True))


def response(type_url: str, nonce: str, resources: Iterable[bytes], removed: Iterable[str], version: str) -> bytes:
    """A serialized DeltaDiscoveryResponse. Concatenated messages merge: so the resources are simply appended."""
    head = discovery_pb2.DeltaDiscoveryResponse(
        type_url=type_url, nonce=nonce, removed_resources=removed, system_version_info=version
    )
    parts = [head.SerializeToString()]
    for encoded in resources:
        parts += (b"\x12", _varint(len(encoded)), encoded)  # field 2, length-delimited
    return b"".join(parts)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
