"""The scheduler as a process of its own: killed, restarted, and refused where it cannot run."""

import asyncio
import contextlib
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from modelyard.scheduler.journal_schema import SCHEMA_VERSION
from modelyard.wire import grpc_server, service
from modelyard.wire._pb2.modelyard.v1 import control_pb2
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb
from tests.scheduler.rig import PATIENCE, agent, held, load_request, until

pytestmark = pytest.mark.e2e


@dataclass
class Running:
    process: asyncio.subprocess.Process
    agents_address: str
    api: Any
    control: Any

    async def states(self) -> dict[str, tuple[int, int]]:
        """Each model's latest version and its state."""
        every = [it async for it in self.api.ModelStatus(pb.ModelStatusRequest(), timeout=PATIENCE)]
        return {it.modelName: (it.versions[0].version, it.versions[0].state.state) for it in every}

    async def load(self, name: str, uri: str = "file:///m") -> None:
        await self.api.LoadModel(load_request(name, uri=uri), timeout=PATIENCE)

    async def available(self, *names: str) -> None:
        async def are() -> bool:
            states = await self.states()
            return all(states.get(name, (0, 0))[1] == pb.ModelStatus.ModelAvailable for name in names)

        await until(are, f"{names} are never available")

    async def subscribed(self) -> None:
        async def is_there() -> bool:
            answer = await self.control.ListServers(control_pb2.ListServersRequest())
            return any(it.state == control_pb2.ReplicaView.CONNECTED for view in answer.servers for it in view.replicas)

        await until(is_there, "no agent has subscribed")


def arguments(folder: Path, ports: list[int]) -> list[str]:
    api, agents, xds = (f"127.0.0.1:{port}" for port in ports)
    where = ["--api", api, "--agents", agents, "--xds", xds, "--state-dir", str(folder)]
    return [sys.executable, "-m", "modelyard.run.scheduler", *where, "--restart-wait-seconds", "20"]


@contextlib.asynccontextmanager
async def running(folder: Path, ports: list[int]) -> AsyncIterator[Running]:
    with (folder / "log").open("a") as log:
        process = await asyncio.create_subprocess_exec(*arguments(folder, ports), stderr=log)
    try:
        async with grpc_server.channel(f"127.0.0.1:{ports[0]}") as channel:
            await asyncio.wait_for(channel.channel_ready(), PATIENCE)
            api, control = (service.Stub(channel, it) for it in (service.SCHEDULER, service.CONTROL))
            yield Running(process, f"127.0.0.1:{ports[1]}", api, control)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def ports() -> list[int]:
    """Free at the moment of asking, and different ones."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        return [it.getsockname()[1] for it in sockets]


@pytest.fixture
async def server_port() -> AsyncIterator[int]:
    """Something that answers where the inference server would be."""

    async def nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(nothing, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_kill_9_while_models_are_loaded_loses_none_that_was_acknowledged(
    tmp_path: Path, ports: list[int], server_port: int
) -> None:
    acknowledged: set[str] = set()
    async with running(tmp_path, ports) as before:
        async with agent(before.agents_address, http_port=server_port) as peer:
            await before.subscribed()

            async def load(n: int) -> None:
                await before.load(f"m{n}")
                acknowledged.add(f"m{n}")
                if len(acknowledged) == 30:
                    before.process.kill()

            loads = [asyncio.ensure_future(load(n)) for n in range(200)]
            results = await asyncio.gather(*loads, return_exceptions=True)
            assert any(isinstance(it, grpc.aio.AioRpcError) for it in results), "it was not killed in the middle"
            assert len(acknowledged) >= 30
            await asyncio.wait_for(peer.ended, PATIENCE)
        loaded = tuple(it for it in peer.held.values())
    async with running(tmp_path, ports) as after:
        assert acknowledged <= (await after.states()).keys()
        async with agent(after.agents_address, session="two", http_port=server_port, holds=loaded) as back:
            await after.available(*acknowledged)
            again = {order.model_version.id for order in back.orders} & {it.id for it in loaded}
            assert not again, "what was held already was ordered again"


async def test_versions_go_on_after_kill_9_even_for_a_deleted_name(
    tmp_path: Path, ports: list[int], server_port: int
) -> None:
    async with running(tmp_path, ports) as first, agent(first.agents_address, http_port=server_port):
        await first.subscribed()
        for n in range(3):
            await first.load("iris", f"file:///{n}")
        await first.available("iris")
        await first.api.UnloadModel(pb.UnloadModelRequest(model=pb.ModelReference(name="iris")))

        async def is_gone() -> bool:
            return not await first.states()

        await until(is_gone, "never deleted")
        await first.load("wine")
        await first.available("wine")
        first.process.kill()
        await first.process.wait()
    async with (
        running(tmp_path, ports) as second,
        agent(second.agents_address, session="two", http_port=server_port, holds=(held("wine"),)) as back,
    ):
        await second.subscribed()
        await second.load("iris")
        await second.available("iris", "wine")
        assert {name: number for name, (number, _) in (await second.states()).items()} == {"iris": 4, "wine": 1}
        assert back.told() == ["LOAD iris_4"]


async def test_it_ends_on_sigterm_without_a_word_of_python(tmp_path: Path, ports: list[int]) -> None:
    async with running(tmp_path, ports) as it, agent(it.agents_address):
        await it.subscribed()
        it.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(it.process.wait(), PATIENCE) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


async def refused(command: list[str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode, said.decode()


async def test_a_busy_port_is_one_clear_line(tmp_path: Path, ports: list[int]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with running(tmp_path, ports):
        code, said = await refused(arguments(other, ports))
    assert code == 4
    assert said.splitlines()[-1].startswith(f"cannot listen on 127.0.0.1:{ports[2]}: the port is busy")
    assert "Traceback" not in said


async def test_a_second_one_on_the_same_state_is_one_clear_line(tmp_path: Path, ports: list[int]) -> None:
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        others = [it.getsockname()[1] for it in free]
    async with running(tmp_path, ports):
        code, said = await refused(arguments(tmp_path, others))
    assert (code, said) == (
        4,
        f"another scheduler is running on {tmp_path / 'scheduler'}: stop it, or use another state directory\n",
    )


async def test_the_journal_of_a_newer_modelyard_is_one_clear_line(tmp_path: Path, ports: list[int]) -> None:
    journal = tmp_path / "scheduler" / "journal.db"
    journal.parent.mkdir()
    db = sqlite3.connect(journal)
    db.execute("PRAGMA user_version = 99")
    db.close()
    code, said = await refused(arguments(tmp_path, ports))
    assert code == 4
    (line,) = said.splitlines()
    knows = f"this one knows {SCHEMA_VERSION}"
    assert line.startswith(f"the journal {journal} was written by a newer Modelyard (format 99, {knows}): ")


async def test_a_corrupt_journal_is_confessed_and_agents_models_are_adopted(
    tmp_path: Path, ports: list[int], server_port: int
) -> None:
    journal = tmp_path / "scheduler" / "journal.db"
    journal.parent.mkdir()
    journal.write_bytes(b"no database at all" * 1000)
    async with running(tmp_path, ports) as it:
        system = await it.control.GetSystem(control_pb2.GetSystemRequest())
        assert "the journal was corrupt" in system.warnings[0]
        assert "the journal was lost" in system.waiting_for
        async with agent(it.agents_address, http_port=server_port, holds=(held("iris", 7),)) as peer:
            await it.subscribed()
            notice = pb.ServerNotify(name="local", expectedReplicas=1, shared=True)
            await it.api.ServerNotify(pb.ServerNotifyRequest(servers=[notice], isFirstSync=True))
            await it.available("iris")
            assert (await it.states())["iris"][0] == 7
            assert peer.told() == []
