"""Providers: who starts and stops server replicas. Under `modelyard up` local processes, later a Kubernetes controller.

`ServerWatch` is the half that every provider shares: it follows the scheduler's wishes (`kind: Server` manifests),
decides by `wanted.decide`, drains a replica before it is stopped, and tells the scheduler how many to expect.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import grpc.aio

from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest
from modelyard.kit import backoff
from modelyard.kit.errors import ModelyardError
from modelyard.kit.tasks import TaskSet
from modelyard.run import wanted
from modelyard.run.replica import ReplicaSettings
from modelyard.wire import grpc_server, provision, service

DRAIN_SECONDS = 30.0
CALL_SECONDS = 10.0
FIRST_DELAY_SECONDS = 0.2
MOST_DELAY_SECONDS = 5.0

log = logging.getLogger(__name__)


class Provider(Protocol):
    """Starts and stops replicas. Calls for one replica never overlap; what fails is the provider's to mend."""

    def replicas(self) -> Mapping[ReplicaId, ReplicaSettings]:
        """Those that run, are being started or are being stopped."""

    async def start(self, replica: ReplicaId, settings: ReplicaSettings) -> None:
        """Returns once it is under way, not once it is ready."""

    async def change(self, replica: ReplicaId, settings: ReplicaSettings) -> None:
        """Give a replica other settings without interrupting what it serves."""

    async def stop(self, replica: ReplicaId) -> None:
        """Returns when it is gone. It has been drained, or may go all the same."""


class ServerWatch:
    """Brings a provider's replicas to what the scheduler wants, again and again, over lost connections."""

    def __init__(
        self,
        provider: Provider,
        *,
        scheduler: str,
        agents: str,
        name: str,
        problems: "asyncio.Queue[tuple[str, str]] | None" = None,
        offers: Mapping[str, tuple[str, ...]] = wanted.OFFERS,
        delayed: Callable[[str], bool] = lambda _config: False,
    ) -> None:
        """`problems`: where the provider puts (server, sentence) for what its users should know. `offers`: by server
        config, what its replicas can serve. `delayed`: whether replicas of a server config cannot start yet, so
        that a scheduler that begins need not wait for them."""
        self.synced = asyncio.Event()  # the first wishes were acted on
        self.wanted: tuple[ServerManifest, ...] = ()
        self._provider = provider
        self._addresses = (scheduler, agents)
        self._name = name
        self._offers = offers
        self._delayed = delayed
        self._tasks = TaskSet()
        self._acting = asyncio.Lock()
        self._stopping: set[ReplicaId] = set()
        self._draining: dict[str, asyncio.Lock] = {}
        self._known: set[str] = set()
        self._reported: dict[str, str] = {}
        self._problems: asyncio.Queue[tuple[str, str]] = problems if problems is not None else asyncio.Queue()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with (
                grpc_server.channel(self._addresses[0]) as api,
                grpc_server.channel(self._addresses[1]) as agents,
            ):
                await self._follow(api, service.Stub(agents, service.AGENT))
        finally:
            await self._tasks.cancel()

    async def _follow(self, api: grpc.aio.Channel, agents: service.Stub) -> None:
        self._agents = agents
        delays = backoff.delays(FIRST_DELAY_SECONDS, MOST_DELAY_SECONDS)
        while True:
            connection = _Connection(service.Stub(api, service.CONTROL), service.Stub(api, service.SCHEDULER))
            try:
                await self._one_connection(connection)
            except (grpc.aio.AioRpcError, ModelyardError) as error:
                log.debug("lost the scheduler: %s", error)
            except Exception:  # replicas must not be left alone for one mistake
                log.exception("following the scheduler's wishes failed; trying again")
            if connection.heard:
                delays = backoff.delays(FIRST_DELAY_SECONDS, MOST_DELAY_SECONDS)
            await asyncio.sleep(next(delays))

    async def _one_connection(self, connection: "_Connection") -> None:
        self._reported = {}
        streams = [
            asyncio.create_task(self._watch(connection)),
            asyncio.create_task(self._answer_control_plane(connection)),
            asyncio.create_task(self._send_reports(connection)),
        ]
        try:
            done, _ = await asyncio.wait(streams, return_when=asyncio.FIRST_COMPLETED)
            for stream in done:
                stream.result()
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)

    async def _watch(self, connection: "_Connection") -> None:
        async for message in connection.control.WatchServers(provision.WatchRequest(provider=self._name)):
            self.wanted = provision.decode_wanted(message)
            plan = await self._act()
            await self._notify(connection, plan.refused, first_sync=not connection.heard)
            connection.heard = True
            self.synced.set()

    async def _answer_control_plane(self, connection: "_Connection") -> None:
        """The scheduler asks for everything after it restarted; whoever cannot ask is told by `_watch` anyway."""
        try:
            async for message in connection.scheduler.SubscribeControlPlane(
                provision.ControlPlaneRequest(subscriberName=self._name)
            ):
                if provision.asks_for_servers(message) and connection.heard:
                    refused = wanted.decide(self.wanted, self._provider.replicas(), self._offers).refused
                    await self._notify(connection, refused, first_sync=True)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            await asyncio.Event().wait()  # the other streams decide when the connection is over

    async def _send_reports(self, connection: "_Connection") -> None:
        while True:
            server, text = await self._problems.get()
            if self._reported.get(server) == text:
                continue
            self._reported[server] = text
            await connection.control.ReportServer(provision.ReportRequest(name=server, text=text), timeout=CALL_SECONDS)

    async def _notify(self, connection: "_Connection", refused: Mapping[str, str], *, first_sync: bool) -> None:
        notices = wanted.notices(self.wanted, self._known, refused)
        self._known |= {it.name for it in notices}
        for server, text in refused.items():
            if self._reported.get(server) != text:
                log.warning("%s", text)
            self._problems.put_nowait((server, text))
        late = {it.name for it in self.wanted if self._delayed(it.server_config)}
        # A scheduler that begins waits for the agents of its first sync: they must be able to come.
        at_once = [it for it in notices if not (first_sync and it.name in late)]
        afterwards = [it for it in notices if it not in at_once]
        for some, first in ((at_once, first_sync), (afterwards, False)):
            if some or first:
                message = provision.encode_notices(some, first_sync=first)
                await connection.scheduler.ServerNotify(message, timeout=CALL_SECONDS)

    async def _act(self) -> wanted.Plan:
        async with self._acting:
            return await self._carry_out()

    async def _carry_out(self) -> wanted.Plan:
        plan = wanted.decide(self.wanted, self._provider.replicas(), self._offers)
        for replica, settings in plan.start.items():
            await self._provider.start(replica, settings)
        for replica, settings in plan.change.items():
            if replica not in self._stopping:
                await self._provider.change(replica, settings)
        for replica in plan.stop:
            if replica not in self._stopping:
                self._stopping.add(replica)
                self._tasks.start(self._stop(replica), name=f"stop {replica}")
        return plan

    async def _stop(self, replica: ReplicaId) -> None:
        # One after the other, so that models do not move to a replica that is next; of a deleted server all at once.
        goes_on = any(manifest.name == replica.server for manifest in self.wanted)
        turn: Any = self._draining.setdefault(replica.server, asyncio.Lock()) if goes_on else contextlib.nullcontext()
        try:
            async with turn:
                await self._drain(replica)
                await self._provider.stop(replica)
        finally:
            self._stopping.discard(replica)
        await self._act()  # it may be wanted again by now

    async def _drain(self, replica: ReplicaId) -> None:
        log.info("draining replica %s", replica)
        try:
            reply = await self._agents.AgentDrain(provision.encode_drain(replica), timeout=DRAIN_SECONDS)
        except grpc.aio.AioRpcError as error:
            log.warning("replica %s could not be drained (%s): stopping it all the same", replica, error.code().name)
        else:
            if not reply.success:
                log.warning("replica %s still held models that fit nowhere else: stopping it all the same", replica)


class _Connection:
    """One life of the streams to a scheduler."""

    def __init__(self, control: service.Stub, scheduler: service.Stub) -> None:
        self.control = control
        self.scheduler = scheduler
        self.heard = False
