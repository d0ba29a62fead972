"""The seam in front of every proxy: what it should do (`Changes`), and what became of that (`Outcome`).

Nothing above this file knows which proxy there is. A driver brings every connected proxy to the desired state and
says, per route and once for all proxies that count, when it is live or why it was refused:

    apply(Changes(version=7, replica_sets={...}, routes={...}))
        ... later, in any number of parts ...
    Outcome(live={"iris": 7}, refused={"wine": Refusal(7, "…")})
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One replica's inference server. Open Inference Protocol V2 over HTTP/1.1 and over gRPC (h2c).

    `grpc_over_http1`: gRPC over HTTP/1.1 with trailers on the HTTP port too. `unix_socket`: the same as on the HTTP
    port, for proxies on `machine`; empty: none. A proxy may use these, and need not.
    """

    host: str
    http_port: int
    grpc_port: int
    grpc_over_http1: bool = False
    unix_socket: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """One answer to a route: a replica set, and the name under which its servers know the model."""

    replica_set: str
    internal_model: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """Where requests for one `seldon-model` go: shared out among the variants by weight.

    `cold`: the model is not in memory; each request waits until whoever owns the driver has brought it there.
    """

    variants: tuple[Variant, ...]
    cold: bool = False

    def __post_init__(self) -> None:
        assert self.variants, "a route without variants is no route: remove it"


@dataclass(frozen=True, slots=True)
class Changes:
    """What changes at this version. None removes. Versions rise by at least one from one apply to the next.

    Every replica set that a route names is in these changes or was in earlier ones and not removed since.
    A replica set's endpoints are keyed by the replica's name, e.g. "local/0".
    """

    version: int
    replica_sets: Mapping[str, Mapping[str, Endpoint] | None] = field(default_factory=dict)
    routes: Mapping[str, Route | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The proxies keep what they had for this route."""

    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Routes that reached the version named in all proxies that count, or that a proxy refused.

    A removal is live when no proxy routes it any more. With no proxy connected (and none lost less than a lease
    ago) everything is live at once.
    """

    live: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, Refusal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A connected proxy, or one lost so lately that it still counts. `version`: of the last Changes it holds wholly."""

    id: str
    connected: bool
    since: float
    version: int


@dataclass(frozen=True, slots=True)
class GatewayRefusal:
    """What one proxy refuses at present, e.g. resource "route iris"."""

    gateway: str
    resource: str
    reason: str


@dataclass(frozen=True, slots=True)
class Count:
    """Of one route, at one proxy: `requests` that went to a server since the proxy started, and how many of those are
    not answered wholly yet."""

    requests: int = 0
    in_flight: int = 0


OnOutcome: TypeAlias = Callable[[Outcome], None]


class Driver(Protocol):
    """Brings proxies to the desired state. `on_outcome` is called from the event loop, never from inside apply."""

    def apply(self, changes: Changes) -> None: ...

    def open(self, expected: Iterable[str] = ()) -> None:
        """The desired state is complete: until then nothing is taken away, nothing sent and nothing told.

        `expected`: ids of proxies known from before a restart, each of which counts for one lease.
        """
        ...

    def gateways(self) -> tuple[Gateway, ...]: ...

    def refusals(self) -> tuple[GatewayRefusal, ...]: ...
