"""Replicas as real processes: the built-in runtime and the agent (which finds no scheduler here, and waits for one)."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from modelyard.domain.names import ReplicaId
from modelyard.run import ports, ready
from modelyard.run.local_provider import LocalProvider
from modelyard.run.ports import FixedPorts
from modelyard.run.replica import ReplicaSettings
from modelyard.run.supervisor import Supervisor
from modelyard.run.system import Part

pytestmark = pytest.mark.e2e

DEADLINE_SECONDS = 60.0
REPLICA = ReplicaId("local", 0)
SETTINGS = ReplicaSettings(1 << 20, ("onnx",))


class Place:
    def __init__(self, directory: Path) -> None:
        self.supervisor = Supervisor(directory)
        base = ports.take_free(24000, 1)[0]
        self.problems: list[tuple[str, str]] = []
        self.provider = LocalProvider(
            self.supervisor,
            FixedPorts(base, base + 2, base + 4, base + 5, base + 8),
            leftovers={},
            on_problem=lambda server, text: self.problems.append((server, text)),
        )

    def part(self, name: str) -> Part | None:
        return next((part for part in self.supervisor.running() if part.name == name), None)

    async def until_ready(self) -> tuple[Part, Part]:
        """The runtime and the agent."""
        await self.until(lambda: "agent-local-0" in self.supervisor.parts)
        for name in ("runtime-local-0", "agent-local-0"):
            await self.supervisor.parts[name].wait_ready(DEADLINE_SECONDS)
        runtime, agent = self.part("runtime-local-0"), self.part("agent-local-0")
        assert runtime is not None
        assert agent is not None
        return runtime, agent

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110  # other processes bring it about
                await asyncio.sleep(0.02)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    it = Place(tmp_path)
    yield it
    await it.provider.cancel()
    it.supervisor.kill_all()
    await it.supervisor.end(*it.supervisor.parts)


async def test_a_replica_is_a_runtime_and_an_agent_and_stopping_leaves_neither(place: Place, tmp_path: Path) -> None:
    await place.provider.start(REPLICA, SETTINGS)
    runtime, agent = await place.until_ready()
    assert await ready.http_ok(runtime.ports["http"], "/v2/health/ready")
    assert place.provider.replicas() == {REPLICA: SETTINGS}
    await place.provider.stop(REPLICA)
    assert not runtime.process.is_alive()
    assert not agent.process.is_alive()
    assert place.provider.replicas() == {}
    assert not (tmp_path / "servers" / "local" / "0").exists()


async def test_a_replica_that_loses_a_port_to_somebody_else_takes_others(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await place.provider.start(REPLICA, SETTINGS)
    first = ports.take_free(place.provider._fixed.gateway, 1)[0]  # just what the replica has found, and not used yet
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", first))
        thief.listen()
        runtime, agent = await place.until_ready()
    assert "somebody else took a port of runtime-local-0" in caplog.text
    assert first not in {*runtime.ports.values(), *agent.ports.values()}
    assert place.problems == []


async def test_other_settings_restart_the_agent_and_not_the_runtime(place: Place) -> None:
    await place.provider.start(REPLICA, SETTINGS)
    runtime, agent = await place.until_ready()
    other = ReplicaSettings(1 << 21, ("onnx",))
    await place.provider.change(REPLICA, other)
    runtime_after, agent_after = await place.until_ready()
    assert place.provider.replicas() == {REPLICA: other}
    assert runtime_after.pid == runtime.pid
    assert agent_after.pid != agent.pid
    assert agent_after.ports == agent.ports
    assert str(1 << 21) in agent_after.argv


async def test_a_folder_that_cannot_be_used_is_reported(place: Place, tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("a file")
    await place.provider.start(REPLICA, SETTINGS)
    assert place.provider.failure is not None
    assert place.problems == [("local", str(place.provider.failure))]
    assert "replica local/0 cannot use" in place.problems[0][1]
    assert place.provider.replicas() == {}
