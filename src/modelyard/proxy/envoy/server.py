"""The Envoy driver: serves delta ADS and brings every connected Envoy to the desired state.

One task's worth of state: everything here runs in one event loop. `apply` only notes what changed; what to send is
decided once per loop turn, so that many applies travel together.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import ads_pb2, discovery_pb2

from modelyard.kit import clock
from modelyard.proxy.desired import Changes, Gateway, GatewayRefusal, OnOutcome
from modelyard.proxy.envoy import bootstrap, discovery, scopes
from modelyard.proxy.envoy.fleet import Fleet
from modelyard.proxy.envoy.messages import Event, Nacked, Opened
from modelyard.proxy.envoy.snapshot import Changed, ScopeBuilder, Snapshot
from modelyard.proxy.envoy.stream import Stream
from modelyard.wire import grpc_server

SERVICE: str = ads_pb2.DESCRIPTOR.services_by_name["AggregatedDiscoveryService"].full_name
LEASE_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Connection:
    gateway: str
    since: float
    stream: Stream
    outbox: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    version: int = 0


class EnvoyDriver:
    """A `proxy.desired.Driver`. Closed until `open()` is called. `build_scope`: how a route looks in these Envoys."""

    def __init__(
        self,
        *,
        on_outcome: OnOutcome,
        lease_seconds: float = LEASE_SECONDS,
        build_scope: ScopeBuilder = scopes.build,
    ) -> None:
        self._on_outcome = on_outcome
        self._snapshot = Snapshot(build_scope)
        self._fleet = Fleet(lease_seconds)
        self._connections: dict[int, _Connection] = {}
        self._numbers = itertools.count(1)
        self._opened = False
        self._changed: Changed | None = None
        self._touched: set[str] = set()
        self._wake: asyncio.TimerHandle | None = None
        self._server: grpc.aio.Server | None = None
        self.responses_sent = 0
        self._calls: set[asyncio.Task[Any]] = set()

    async def start(self, address: str, more: Mapping[str, grpc.GenericRpcHandler] | None = None) -> int:
        """Serve on HOST:PORT or unix:PATH, with `more` services beside; returns the port. Raises `Refused` if busy."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(
                self._serve, request_deserializer=discovery_pb2.DeltaDiscoveryRequest.FromString
            )
        }
        raw = {SERVICE: grpc.method_handlers_generic_handler(SERVICE, methods), **(more or {})}
        self._server, port = await grpc_server.start(address, {}, raw)
        return port

    async def stop(self) -> None:
        """Gateways keep what they hold and reconnect to whoever serves next."""
        if self._wake is not None:
            self._wake.cancel()
        if self._server is not None:
            await self._server.stop(grace=None)
        if self._calls:
            await asyncio.wait(self._calls)

    def apply(self, changes: Changes) -> None:
        """Returns at once; what became of it is told later by `on_outcome`."""
        changed = self._snapshot.apply(changes)
        self._fleet.want(changes.routes, changes.version)
        again = self._snapshot.reaching(self._fleet.pending() - changes.routes.keys(), changed.clusters)
        self._fleet.want_again(again)
        self._touched.update(changes.routes, again)
        if self._changed is None:
            self._changed = changed
            asyncio.get_running_loop().call_soon(self._flush)
        else:
            self._changed |= changed

    def open(self, expected: Iterable[str] = ()) -> None:
        if self._opened:
            return
        self._opened = True
        now = clock.now()
        known = {connection.gateway for connection in self._connections.values()}
        for gateway in expected:
            if gateway not in known:
                self._fleet.expect(gateway, now)
        self._fleet.open()
        asyncio.get_running_loop().call_soon(self._opened_now)

    def gateways(self) -> tuple[Gateway, ...]:
        connected = [Gateway(it.gateway, True, it.since, it.version) for it in self._connections.values()]
        lost = [Gateway(gateway, False, since, 0) for gateway, since in self._fleet.lost().items()]
        return tuple(sorted([*connected, *lost], key=lambda gateway: (gateway.id, gateway.since)))

    def refusals(self) -> tuple[GatewayRefusal, ...]:
        return tuple(
            GatewayRefusal(connection.gateway, f"{kind.value} {name}", reason)
            for connection in self._connections.values()
            for (kind, name), reason in sorted(connection.stream.refusals().items(), key=lambda it: it[0][1])
        )

    # -- everybody

    def _opened_now(self) -> None:
        self._touched |= self._fleet.pending()
        refused: dict[str, str] = {}
        for number in list(self._connections):
            refused |= self._advance(number, Opened())
        self._tell(refused)

    def _flush(self) -> None:
        changed, self._changed = self._changed, None
        refused: dict[str, str] = {}
        for number in list(self._connections):
            refused |= self._advance(number, *([changed] if changed is not None else ()))
        self._tell(refused)

    def _tell(self, refused: Mapping[str, str]) -> None:
        touched, self._touched = self._touched, set()
        outcome = self._fleet.outcome(touched, refused, clock.now())
        self._wake_again()
        if outcome.live or outcome.refused:
            self._on_outcome(outcome)

    def _wake_again(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if (at := self._fleet.wake_at()) is not None:
            wait = max(0.0, at - clock.now()) + 0.01
            self._wake = asyncio.get_running_loop().call_later(wait, self._tell, {})

    # -- one gateway

    def _advance(self, number: int, *events: Event) -> Mapping[str, str]:
        """Tell one stream what happened, queue what it wants to send; returns the routes it refuses."""
        connection = self._connections[number]
        for send in connection.stream.handle(events):
            self.responses_sent += 1
            connection.outbox.put_nowait(discovery.encode(send, str(self._snapshot.version)))
        if connection.stream.idle and self._changed is None:
            connection.version = self._snapshot.version
        owed = self._fleet.owed(number)
        refused = self._fleet.progress(number, connection.stream.status)
        self._touched |= owed
        return refused

    async def _serve(
        self, requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        number, writer = next(self._numbers), None
        reader = discovery.Reader()
        try:
            async for request in requests:
                if number not in self._connections:
                    writer = self._connect(number, request.node, context)
                events = reader.read(request)
                for event in events:
                    if isinstance(event, Nacked):
                        log.warning("gateway %s refused: %s", self._connections[number].gateway, event.reason)
                self._tell(self._advance(number, *events))
        finally:
            self._calls.discard(task)
            if writer is not None:
                self._disconnect(number)
                writer.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await writer

    def _connect(
        self, number: int, node: base_pb2.Node, context: grpc.aio.ServicerContext[Any, Any]
    ) -> "asyncio.Task[None]":
        now, gateway = clock.now(), node.id or context.peer()
        wanted = self._snapshot.view(node.metadata.fields[bootstrap.MACHINE].string_value)
        log.info("gateway %s connected", gateway)
        self._fleet.connected(number, gateway, now)
        connection = _Connection(gateway, now, Stream(wanted, opened=self._opened))
        self._connections[number] = connection
        return asyncio.create_task(_write(connection.outbox, context), name=f"xds to {gateway}")

    def _disconnect(self, number: int) -> None:
        connection = self._connections.pop(number)
        log.info("gateway %s disconnected", connection.gateway)
        self._fleet.disconnected(number, clock.now())
        self._tell({})


async def _write(outbox: asyncio.Queue[bytes], context: grpc.aio.ServicerContext[Any, Any]) -> None:
    while True:
        await context.write(await outbox.get())
