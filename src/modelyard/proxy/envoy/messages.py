"""What a stream hears (events), what it orders (effects), and how a route stands at its proxy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from modelyard.proxy.envoy.resource import Resource
from modelyard.proxy.envoy.snapshot import Changed


class Kind(Enum):
    CLUSTERS = "cluster"
    SCOPES = "route"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The first request for a kind: the versions the proxy already holds, by resource name."""

    kind: Kind
    held: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acked:
    kind: Kind
    nonce: str


@dataclass(frozen=True, slots=True)
class Nacked:
    kind: Kind
    nonce: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The desired state is complete: from now on what is not in it may be taken away."""


@dataclass(frozen=True, slots=True)
class Addition:
    resource: Resource
    generation: int = 0  # how often a response with this resource was refused on this stream


@dataclass(frozen=True, slots=True)
class Send:
    """An order: send this response. Either additions or removals, or neither: the answer that nothing is wanted."""

    kind: Kind
    nonce: str
    additions: tuple[Addition, ...] = ()
    removals: tuple[str, ...] = ()


Event: TypeAlias = Subscribed | Acked | Nacked | Opened | Changed


@dataclass(frozen=True, slots=True)
class LiveHere:
    """The proxy holds the route as it is wanted, or holds none where none is wanted."""


@dataclass(frozen=True, slots=True)
class RefusedHere:
    reason: str
