"""A gRPC server as every part runs one: large messages, keepalive, health (two kinds) and reflection."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from modelyard.kit import errors
from modelyard.wire import service
from modelyard.wire._pb2.pool import POOL
from modelyard.wire._pb2.seldon.mlops.health import health_pb2 as seldon_health_pb2

KEEPALIVE_SECONDS = 60
KEEPALIVE_TIMEOUT_SECONDS = 20

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", service.MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", service.MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    *CHANNEL_OPTIONS,
    # Peers may ping more often than every five minutes, as the reference's do.
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
    # A busy port is an error here, not a second listener.
    ("grpc.so_reuseport", 0),
)


class _BothPools:
    """Reflection over our own descriptor pool and, for the standard services, the default one."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def find(*arguments: Any) -> Any:
            try:
                return getattr(POOL, name)(*arguments)
            except KeyError:
                return getattr(descriptor_pool.Default(), name)(*arguments)

        return find


class _SeldonHealth:
    """The contract's own health service."""

    async def HealthCheck(self, _request: Any, _context: Any) -> Any:
        return seldon_health_pb2.HealthCheckResponse(ok=True)


async def start(
    address: str, services: Mapping[str, object], raw: Mapping[str, grpc.GenericRpcHandler] | None = None
) -> tuple[grpc.aio.Server, int]:
    """Serve implementations by the full names of their services on HOST:PORT; port 0 takes a free one.

    `raw`: ready handlers of services that are not ours, by service name (Envoy's xDS).
    Returns the server and its port. Raises `Refused` when the port is busy.
    """
    server = grpc.aio.server(options=SERVER_OPTIONS)
    everything = {**services, service.HEALTH: _SeldonHealth()}
    server.add_generic_rpc_handlers([service.handler(name, it) for name, it in everything.items()])
    raw = raw or {}
    server.add_generic_rpc_handlers(list(raw.values()))
    standard_health = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(standard_health, server)
    for name in ("", *everything, *raw):
        await standard_health.set(name, health_pb2.HealthCheckResponse.SERVING)
    names = (*everything, *raw, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=_BothPools())
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise errors.Refused(f"cannot listen on {address}: the port is busy or not allowed") from error
    await server.start()
    return server, port


def channel(target: str, *, alone: bool = False) -> grpc.aio.Channel:
    """A client channel with the same limits; it reconnects by itself within 15 s at the most. `alone`: it shares no
    connection, nor the wait after a failed one, with other channels to that target."""
    backoff = (("grpc.initial_reconnect_backoff_ms", 500), ("grpc.max_reconnect_backoff_ms", 15_000))
    own = (("grpc.use_local_subchannel_pool", 1),) if alone else ()
    return grpc.aio.insecure_channel(target, options=(*CHANNEL_OPTIONS, *backoff, *own))
