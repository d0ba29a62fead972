"""Delta discovery messages ↔ the stream machine's events and effects."""

from envoy.service.discovery.v3 import discovery_pb2

from modelyard.proxy.envoy.messages import Acked, Addition, Event, Kind, Nacked, Send, Subscribed
from modelyard.proxy.envoy.resource import CLUSTER_TYPE, SCOPE_TYPE, regenerated, response

_TYPES = {Kind.CLUSTERS: CLUSTER_TYPE, Kind.SCOPES: SCOPE_TYPE}
_KINDS = {type_url: kind for kind, type_url in _TYPES.items()}


class Reader:
    """Reads one stream's requests: the first of a kind subscribes, later ones answer a response by its nonce."""

    def __init__(self) -> None:
        self._subscribed: set[Kind] = set()

    def read(self, request: discovery_pb2.DeltaDiscoveryRequest) -> list[Event]:
        kind = _KINDS.get(request.type_url)
        if kind is None:
            return []  # a type that is not served here: silence is the protocol's answer
        events: list[Event] = []
        if kind not in self._subscribed:
            self._subscribed.add(kind)
            events.append(Subscribed(kind, dict(request.initial_resource_versions)))
        if request.response_nonce:
            if request.HasField("error_detail"):
                reason = request.error_detail.message.strip() or f"code {request.error_detail.code}, no reason given"
                events.append(Nacked(kind, request.response_nonce, reason))
            else:
                events.append(Acked(kind, request.response_nonce))
        return events


def encode(send: Send, version: str) -> bytes:
    """The serialized response."""
    resources = [_encoded(send.kind, addition) for addition in send.additions]
    return response(_TYPES[send.kind], send.nonce, resources, send.removals, version)


def _encoded(kind: Kind, addition: Addition) -> bytes:
    if kind is Kind.SCOPES and addition.generation:
        return regenerated(addition.resource, addition.generation)
    return addition.resource.encoded
