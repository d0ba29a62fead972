"""What a decision costs with many models, and how long 10,000 loads take over real gRPC until all are Available."""

import asyncio
import contextlib
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator

import grpc.aio
import psutil

from bench.table import Row
from modelyard.domain.agent_protocol import ModelEvent, ModelEventKind, OperationKind, Subscription
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.scheduler import messages
from modelyard.scheduler.machine import Scheduler
from modelyard.wire import agents, grpc_server, models, servers, service, statuses

TITLE = "Scheduler: 10,000 models on 100 replicas"
MODELS = 10_000
REPLICAS = 100
MEMORY_BYTES = 1 << 30
MODEL_BYTES = 4 << 20
LOADS_AT_ONCE = 64
WAIT_SECONDS = 300.0


def run() -> Iterator[Row]:
    decide_ms = sorted(_decisions())
    p50 = statistics.median(decide_ms)
    yield Row("one more model, applied and decided (p50)", f"{p50:.2f} ms", "≤ 2 ms", p50 <= 2)
    yield Row("  the same, p99", f"{decide_ms[int(len(decide_ms) * 0.99)]:.2f} ms")
    yield from asyncio.run(_over_grpc())


def _model(number: int) -> Model:
    return Model(f"m{number}", ModelSpec(Artifact(f"/models/{number}"), frozenset({"onnx"}), MODEL_BYTES))


def _config(index: int) -> ReplicaConfig:
    return ReplicaConfig("127.0.0.1", 20_000 + index, 30_000 + index, MEMORY_BYTES, frozenset({"onnx"}))


def _decisions() -> Iterator[float]:
    """Milliseconds of `handle` for each of 200 models more, when 10,000 are there."""
    machine = Scheduler()
    machine.start(0.0)
    for index in range(REPLICAS):
        hello = Subscription(ReplicaId("fake", index), _config(index))
        machine.handle([messages.ReplicaSubscribed(f"s{index}", hello, False, "bench")], 1.0)
    for number in range(MODELS + 200):
        event = messages.ModelApplied(_model(number), number, "bench")
        begun = time.perf_counter()
        effects = machine.handle([event], 2.0)
        took = (time.perf_counter() - begun) * 1000
        if number >= MODELS:
            yield took
        loaded: list[messages.Event] = [
            messages.ModelReported(
                it.session,
                ModelEvent(it.replica, ModelEventKind.LOADED, it.operation.model_version.id),
                "bench",
            )
            for it in effects
            if isinstance(it, messages.Send)
        ]
        routes = {f"m{number}": machine.state.route_sequence + 1}
        machine.handle([*loaded, messages.RoutesSettled(routes, {}, "bench")], 2.0)


async def _over_grpc() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        api, agent_port, xds = (_free_port() for _ in range(3))
        command = [sys.executable, "-m", "modelyard.run.scheduler", "--state-dir", folder, "--log-level", "error"]
        command += [f"--api=127.0.0.1:{api}", f"--agents=127.0.0.1:{agent_port}", f"--xds=127.0.0.1:{xds}"]
        scheduler = await asyncio.create_subprocess_exec(*command)
        try:
            return await _load_all(scheduler.pid, f"127.0.0.1:{api}", f"127.0.0.1:{agent_port}")
        finally:
            scheduler.terminate()
            await scheduler.wait()


async def _load_all(pid: int, api: str, agent_address: str) -> list[Row]:
    process = psutil.Process(pid)
    async with grpc_server.channel(api) as channel, grpc_server.channel(agent_address) as agent_channel:
        await asyncio.wait_for(agent_channel.channel_ready(), 30)
        before = process.memory_info().rss
        fakes = [asyncio.create_task(_fake_agent(agent_channel, index)) for index in range(REPLICAS)]
        users = service.Stub(channel, service.SCHEDULER)
        available = asyncio.create_task(_until_available(users))
        begun, cpu = time.monotonic(), sum(process.cpu_times()[:2])
        limit = asyncio.Semaphore(LOADS_AT_ONCE)

        async def load(number: int) -> None:
            async with limit:
                message = models.encode_model(_model(number))
                # Until the agents have subscribed there is no place: kept all the same.
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await users.LoadModel(servers.LoadModelRequest(model=message))

        await asyncio.gather(*(load(number) for number in range(MODELS)))
        acknowledged = time.monotonic() - begun
        await asyncio.wait_for(available, WAIT_SECONDS)
        took = time.monotonic() - begun
        after, spent = process.memory_info().rss, sum(process.cpu_times()[:2]) - cpu
        for fake in fakes:
            fake.cancel()
        await asyncio.gather(*fakes, return_exceptions=True)
    return [
        Row(f"{MODELS:,} LoadModel calls over gRPC, all acknowledged (journaled)", f"{acknowledged:.1f} s"),
        Row(f"  until all are Available, {REPLICAS} agents", f"{took:.1f} s"),
        Row("  scheduler CPU per model", f"{spent / MODELS * 1000:.2f} ms"),
        Row("  scheduler memory, before and after", f"{before >> 20} MiB, {after >> 20} MiB"),
    ]


async def _fake_agent(channel: grpc.aio.Channel, index: int) -> None:
    """Says LOADED to every order at once."""
    stub = service.Stub(channel, service.AGENT)
    replica = ReplicaId("fake", index)
    metadata = ((agents.SESSION_HEADER, f"bench-{index}"),)
    hello = agents.encode_subscription(Subscription(replica, _config(index)))
    async for message in stub.Subscribe(hello, metadata=metadata):
        order = agents.decode_operation(message)
        assert order is not None
        kind = ModelEventKind.LOADED if order.kind is OperationKind.LOAD else ModelEventKind.UNLOADED
        event = ModelEvent(replica, kind, VersionId(order.model_version.model.name, order.model_version.version))
        await stub.AgentEvent(agents.encode_event(event), metadata=metadata)


async def _until_available(users: service.Stub) -> None:
    available: set[str] = set()
    async for message in users.SubscribeModelStatus(statuses.ModelSubscriptionRequest(subscriberName="bench")):
        if statuses.decode_model_status(message).versions[-1].available_replicas:
            available.add(message.modelName)
        if len(available) == MODELS:
            return


def _free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])
