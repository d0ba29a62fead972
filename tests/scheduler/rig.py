"""A whole scheduler on loopback ports, and small agents that speak to it over real gRPC."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio

from modelyard.domain.agent_protocol import ModelEvent, ModelEventKind, ModelVersion, Operation, Subscription
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.domain.status import SystemStatus
from modelyard.kit.tasks import TaskSet
from modelyard.proxy.envoy.server import EnvoyDriver
from modelyard.run.publisher import GatewayPublisher, settled
from modelyard.scheduler.agent_rpc import AgentReports, AgentService
from modelyard.scheduler.control_rpc import ControlService
from modelyard.scheduler.core import Core
from modelyard.scheduler.journal import Journal
from modelyard.scheduler.machine import Scheduler
from modelyard.scheduler.scheduler_rpc import SchedulerService
from modelyard.scheduler.settings import Settings
from modelyard.wire import agents, grpc_server, models, servers, service
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb

PATIENCE = 20.0
SETTINGS = Settings(restart_wait_seconds=5, suspect_seconds=0.1, probe_seconds=0.1)


async def until(true: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)
    raise AssertionError(what)


@dataclass
class Rig:
    core: Core
    journal: Journal
    agent_service: AgentService
    api: Any
    control: Any
    agents_address: str

    async def load(self, name: str, **spec: Any) -> None:
        """Once there is an agent."""
        await self.available_server()
        await self.api.LoadModel(load_request(name, **spec), timeout=PATIENCE)

    async def available_server(self, name: str = "local", replicas: int = 1) -> None:
        """Wait until agents of this server have subscribed."""

        def are_there() -> bool:
            server = self.core.machine.state.servers.get(name)
            return server is not None and len(server.replicas) >= replicas

        await until(are_there, f"no agents of {name}")

    async def status(self, name: str) -> pb.ModelStatusResponse:
        request = pb.ModelStatusRequest(model=pb.ModelReference(name=name))
        (only,) = [it async for it in self.api.ModelStatus(request, timeout=PATIENCE)]
        assert isinstance(only, pb.ModelStatusResponse)
        return only

    async def available(self, name: str) -> None:
        async def is_available() -> bool:
            state = (await self.status(name)).versions[0].state.state
            return state == pb.ModelStatus.ModelAvailable

        await until(is_available, f"{name} is never available")


def load_request(name: str, **spec: Any) -> servers.LoadModelRequest:
    counts = {key: spec.pop(key) for key in ("replicas", "minReplicas") if key in spec}
    return servers.LoadModelRequest(
        model=pb.Model(
            meta=pb.MetaData(name=name),
            modelSpec=pb.ModelSpec(**{"uri": "file:///m", **spec}),
            deploymentSpec=pb.DeploymentSpec(**counts),
        )
    )


@contextlib.asynccontextmanager
async def scheduler(folder: Path, settings: Settings = SETTINGS) -> AsyncIterator[Rig]:
    """As `modelyard.run.scheduler` puts it together, without a port for gateways: what is published is live."""
    journal = Journal(folder / "journal.db")
    driver = EnvoyDriver(on_outcome=lambda outcome: core.tell_now(settled(outcome)))
    core = Core(Scheduler(settings, journal.read()), journal, GatewayPublisher(driver, ()))
    agent_service = AgentService(core)
    api = {
        service.SCHEDULER: SchedulerService(core),
        service.CONTROL: ControlService(core, lambda: SystemStatus("0", 0.0)),
    }
    tasks = TaskSet()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(journal.close)
        stack.push_async_callback(tasks.cancel)
        stack.push_async_callback(driver.stop)
        ports = []
        for services in (api, {service.AGENT: agent_service, service.AGENT_REPORTS: AgentReports(core)}):
            server, port = await grpc_server.start("127.0.0.1:0", services)
            stack.push_async_callback(server.stop, None)
            ports.append(port)
        running = tasks.start(core.run(rebuild=journal.fresh), name="core")
        channel = await stack.enter_async_context(grpc_server.channel(f"127.0.0.1:{ports[0]}"))
        scheduler_stub, control_stub = (service.Stub(channel, it) for it in (service.SCHEDULER, service.CONTROL))
        yield Rig(core, journal, agent_service, scheduler_stub, control_stub, f"127.0.0.1:{ports[1]}")
        assert not running.done(), "the scheduler died"


@dataclass
class Peer:
    """An agent by hand: it remembers its orders and, where `obliging`, does at once as it is told."""

    replica: ReplicaId
    stub: Any
    reports: Any
    session: str | None
    stream: Any
    obliging: bool
    orders: list[Operation] = field(default_factory=list)
    held: dict[VersionId, ModelVersion] = field(default_factory=dict)
    ended: "asyncio.Future[grpc.aio.AioRpcError | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return ((agents.SESSION_HEADER, self.session),) if self.session else ()

    async def say(self, kind: ModelEventKind, version: VersionId | None, message: str = "", available: int = 0) -> None:
        event = ModelEvent(self.replica, kind, version, message, available)
        await self.stub.AgentEvent(agents.encode_event(event), metadata=self.metadata, timeout=PATIENCE)

    async def listen(self) -> None:
        try:
            async for message in self.stream:
                order = agents.decode_operation(message)
                assert order is not None
                self.orders.append(order)
                if self.obliging:
                    await self.oblige(order)
        except grpc.aio.AioRpcError as error:
            self.ended.set_result(error)
        else:
            self.ended.set_result(None)

    async def oblige(self, order: Operation) -> None:
        id = order.model_version.id
        if order.kind.name == "LOAD":
            self.held[id] = order.model_version
            await self.say(ModelEventKind.LOADED, id)
        else:
            self.held.pop(id, None)
            await self.say(ModelEventKind.UNLOADED, id)

    def told(self) -> list[str]:
        return [f"{it.kind.name} {it.model_version.id}" for it in self.orders]

    async def is_told(self, *orders: str) -> None:
        await until(lambda: self.told() == [*orders], f"{self.told()} instead of {orders}")


@contextlib.asynccontextmanager
async def agent(
    address: str,
    replica: str = "local/0",
    *,
    session: str | None = "one",
    memory: int = 1000,
    can: tuple[str, ...] = ("sklearn",),
    holds: tuple[ModelVersion, ...] = (),
    obliging: bool = True,
    http_port: int = 1,
    channel: grpc.aio.Channel | None = None,
    available: int = 0,
) -> AsyncIterator[Peer]:
    """`session` None: like the reference's agents, which do not know of ours."""
    server, index = replica.split("/")
    id = ReplicaId(server, int(index))
    config = ReplicaConfig("127.0.0.1", http_port, http_port, memory, frozenset(can))
    async with contextlib.AsyncExitStack() as stack:
        mine = channel or await stack.enter_async_context(grpc_server.channel(address))
        stub, reports = service.Stub(mine, service.AGENT), service.Stub(mine, service.AGENT_REPORTS)
        request = agents.encode_subscription(Subscription(id, config, True, holds, available))
        metadata = ((agents.SESSION_HEADER, session),) if session else ()
        stream = stub.Subscribe(request, metadata=metadata)
        peer = Peer(id, stub, reports, session, stream, obliging, held={it.id: it for it in holds})
        listening = asyncio.create_task(peer.listen())
        try:
            yield peer
        finally:
            stream.cancel()
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


def version(name: str, number: int = 1) -> VersionId:
    return VersionId(name, number)


def held(name: str, number: int = 1, **spec: Any) -> ModelVersion:
    """As an agent reports what it holds."""
    return ModelVersion(models.decode_model(load_request(name, **spec).model), number)
