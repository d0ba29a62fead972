"""A provider between the real scheduler, in a process of its own, and replicas that are only written down."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from modelyard.domain.model import Replicas
from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest
from modelyard.run import commands, overview, ports, ready
from modelyard.run.ports import FixedPorts
from modelyard.run.provider import ServerWatch
from modelyard.run.replica import ReplicaSettings
from modelyard.run.supervisor import PartSpec, Supervisor
from modelyard.wire import control, grpc_server, service, statuses

pytestmark = pytest.mark.e2e
DEADLINE_SECONDS = 40.0


class Notebook:
    """A provider whose replicas exist on paper: what it was told, in order."""

    def __init__(self) -> None:
        self.there: dict[ReplicaId, ReplicaSettings] = {}
        self.orders: list[str] = []

    def replicas(self) -> Mapping[ReplicaId, ReplicaSettings]:
        return self.there

    async def start(self, replica: ReplicaId, settings: ReplicaSettings) -> None:
        assert replica not in self.there
        self.there[replica] = settings
        self.orders.append(f"start {replica}")

    async def change(self, replica: ReplicaId, settings: ReplicaSettings) -> None:
        self.there[replica] = settings
        self.orders.append(f"change {replica}")

    async def stop(self, replica: ReplicaId) -> None:
        del self.there[replica]
        self.orders.append(f"stop {replica}")


class Yard:
    """The scheduler, a watch with its notebook, and a client."""

    def __init__(self, supervisor: Supervisor, fixed: FixedPorts) -> None:
        self.supervisor = supervisor
        self.fixed = fixed
        self.notebook = Notebook()
        self.problems: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.watch = ServerWatch(
            self.notebook,
            scheduler=f"127.0.0.1:{fixed.scheduler}",
            agents=f"127.0.0.1:{fixed.agents}",
            name="a notebook",
            problems=self.problems,
            delayed=lambda config: config == "triton",
        )

    async def apply(self, manifest: ServerManifest) -> None:
        async with self.channel() as channel:
            request = control.ApplyServerRequest(server=control.encode_server_manifest(manifest))
            await service.Stub(channel, service.CONTROL).ApplyServer(request, timeout=10)

    async def delete(self, name: str) -> None:
        async with self.channel() as channel:
            stub = service.Stub(channel, service.CONTROL)
            await stub.DeleteServer(control.DeleteServerRequest(name=name), timeout=10)

    async def notes(self) -> list[str]:
        async with self.channel() as channel:
            stub = service.Stub(channel, service.CONTROL)
            return [it.text for it in statuses.decode_notes(await stub.ListEvents(control.ListEventsRequest()))]

    async def expected_replicas(self, name: str) -> int | None:
        async with self.channel() as channel:
            now = await overview.look(channel)
        servers = now.servers if now else ()
        return next((it.notice.expected_replicas for it in servers if it.name == name and it.notice), None)

    def channel(self) -> grpc.aio.Channel:
        return grpc_server.channel(f"127.0.0.1:{self.fixed.scheduler}")

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110  # other processes bring it about
                await asyncio.sleep(0.02)

    async def until_expected(self, name: str, count: int) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await self.expected_replicas(name) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def until_noted(self, words: str) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not any(words in note for note in await self.notes()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running_yard(directory: Path) -> AsyncIterator[Yard]:
    one, two, three = ports.take_free(22000, 3)
    fixed = FixedPorts(gateway=0, xds=one, scheduler=two, agents=three, chainer=0)
    supervisor = Supervisor(directory)

    async def answers() -> bool:
        return await ready.scheduler_answers(f"127.0.0.1:{fixed.scheduler}")

    yard = Yard(supervisor, fixed)
    scheduler = supervisor.start(PartSpec("scheduler", commands.scheduler(directory, fixed), answers, tries=1))
    watching = asyncio.create_task(yard.watch.run())
    try:
        await scheduler.wait_ready(DEADLINE_SECONDS)
        yield yard
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await supervisor.end("scheduler")


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with running_yard(tmp_path) as it:
        yield it


async def test_replicas_follow_the_manifest_and_the_scheduler_is_told_how_many(yard: Yard) -> None:
    await yard.apply(ServerManifest("local", Replicas(2), memory_bytes=1 << 20))
    await yard.until(lambda: len(yard.notebook.there) == 2)
    await yard.until_expected("local", 2)
    await yard.apply(ServerManifest("local", Replicas(3), memory_bytes=1 << 20))
    await yard.until_expected("local", 3)
    assert yard.notebook.orders == ["start local/0", "start local/1", "start local/2"]


async def test_the_highest_replica_is_stopped_first(yard: Yard) -> None:
    await yard.apply(ServerManifest("local", Replicas(3)))
    await yard.until(lambda: len(yard.notebook.there) == 3)
    await yard.apply(ServerManifest("local", Replicas(1)))
    await yard.until(lambda: len(yard.notebook.there) == 1)
    assert yard.notebook.orders[3:] == ["stop local/2", "stop local/1"]


async def test_a_deleted_server_is_stopped(yard: Yard) -> None:
    await yard.apply(ServerManifest("local", Replicas(2)))
    await yard.until(lambda: len(yard.notebook.there) == 2)
    await yard.delete("local")
    await yard.until(lambda: not yard.notebook.there)


async def test_other_settings_change_replicas_in_place(yard: Yard) -> None:
    await yard.apply(ServerManifest("local", Replicas(1), memory_bytes=1 << 20))
    await yard.until(lambda: len(yard.notebook.there) == 1)
    await yard.apply(ServerManifest("local", Replicas(1), memory_bytes=1 << 21))
    await yard.until(lambda: yard.notebook.orders == ["start local/0", "change local/0"])


async def test_what_cannot_be_run_is_said_in_the_servers_history(yard: Yard) -> None:
    await yard.apply(ServerManifest("local", Replicas(1), overcommit_percent=10))
    await yard.until_noted("agents cannot evict models yet")
    assert not yard.notebook.orders


async def test_what_goes_wrong_with_a_server_is_said_in_its_history(yard: Yard) -> None:
    await yard.apply(ServerManifest("local", Replicas(1)))
    await yard.until_expected("local", 1)
    yard.problems.put_nowait(("local", "its runtime has caught fire"))
    await yard.until_noted("caught fire")


async def test_a_scheduler_that_begins_does_not_wait_for_what_cannot_start_yet(yard: Yard) -> None:
    await yard.apply(ServerManifest("triton", Replicas(1), server_config="triton"))
    await yard.until_expected("triton", 1)
    scheduler = yard.supervisor.parts["scheduler"]
    scheduler.kill()
    await yard.supervisor.end("scheduler")
    again = yard.supervisor.start(scheduler.spec)
    await again.wait_ready(DEADLINE_SECONDS)
    async with asyncio.timeout(DEADLINE_SECONDS), yard.channel() as channel:
        while (now := await overview.look(channel)) is None or now.system.waiting_for:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_scheduler_that_was_killed_is_told_again(yard: Yard) -> None:
    await yard.apply(ServerManifest("local", Replicas(2)))
    await yard.until_expected("local", 2)
    scheduler = yard.supervisor.parts["scheduler"]
    scheduler.kill()
    await yard.supervisor.end("scheduler")
    again = yard.supervisor.start(scheduler.spec)
    await again.wait_ready(DEADLINE_SECONDS)
    await yard.apply(ServerManifest("local", Replicas(3)))
    await yard.until_expected("local", 3)
    await yard.until(lambda: len(yard.notebook.there) == 3)
    assert yard.notebook.orders == ["start local/0", "start local/1", "start local/2"]
