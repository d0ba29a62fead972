"""Servers and their replicas as they describe themselves, and servers as a manifest wants them."""

from dataclasses import dataclass

from modelyard.domain.model import Replicas


@dataclass(frozen=True, slots=True)
class Offers:
    """How gateways may reach a replica beside its announced ports.

    `unix_socket`: the same as on the HTTP port, for gateways on `machine`; empty: none.
    """

    grpc_over_http1: bool = False
    unix_socket: str = ""
    machine: str = ""


NO_OFFERS = Offers()


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """What one inference-server replica can do and where gateways reach it. `offers`: as its agent last told."""

    host: str
    http_port: int
    grpc_port: int
    memory_bytes: int
    capabilities: frozenset[str] = frozenset()
    overcommit_percent: int = 0
    offers: Offers = NO_OFFERS

    @property
    def assignable_bytes(self) -> int:
        """How much may be assigned; above physical memory where the agent evicts to make it true."""
        return self.memory_bytes * (100 + self.overcommit_percent) // 100


@dataclass(frozen=True, slots=True)
class ServerNotice:
    """What a provider says of a server it runs (`ServerNotify`). None: not told."""

    name: str
    expected_replicas: int
    minimum: int | None = None
    maximum: int | None = None
    shared: bool = True
    kubernetes_namespace: str = ""
    kubernetes_generation: int = 0


@dataclass(frozen=True, slots=True)
class ServerManifest:
    """A `kind: Server` manifest: a wish to the provider. Empty `capabilities` mean the server config's own."""

    name: str
    replicas: Replicas = Replicas()
    server_config: str = "modelyard"
    capabilities: tuple[str, ...] = ()
    extra_capabilities: tuple[str, ...] = ()
    memory_bytes: int | None = None
    overcommit_percent: int | None = None
    rest_json: str = ""
