"""The agent as a process beside the real runtime, under a scheduler that the test plays."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from modelyard.agent.problems import Superseded
from modelyard.domain.agent_protocol import ModelEventKind, ModelVersion
from modelyard.wire import agent_debug, grpc_server, service
from tests.agent.peers import Process, Scheduler, free_port, index, until
from tests.agent.stories import MIB, a_version

pytestmark = pytest.mark.e2e


@dataclass
class Replica:
    """One runtime, its agent, and the scheduler they talk to."""

    scheduler: Scheduler
    runtime: Process
    agent: Process
    folder: Path
    http: int
    debug: int

    async def kill(self, part: Process) -> None:
        assert await part.end(signal.SIGKILL) == -signal.SIGKILL

    async def holds(self, *names: str) -> None:
        for _ in range(600):
            if await index(self.http) == set(names):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not in time: {names} loaded")

    def on_disk(self) -> list[str]:
        found = (self.folder / "repository").iterdir()
        return sorted(it.name for it in found if not it.name.startswith("."))


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    scheduler = await Scheduler().start()
    http, grpc_port, debug = free_port(), free_port(), free_port()
    folder = tmp_path
    runtime = Process(
        "modelyard.run.runtime",
        *("--http", f"127.0.0.1:{http}", "--grpc", f"127.0.0.1:{grpc_port}", "--repository", folder / "repository"),
        log=folder / "runtime.log",
    )
    agent = Process(
        "modelyard.run.agent",
        *("--server-name", "local", "--server-idx", 0, "--scheduler-port", scheduler.port),
        *("--inference-http-port", http, "--inference-grpc-port", grpc_port, "--memory-bytes", 100 * MIB),
        *("--capabilities", "sklearn,onnx", "--agent-folder", folder / "agent", "--repository", folder / "repository"),
        *("--debug-grpc-port", debug),
        log=folder / "agent.log",
    )
    (folder / "repository").mkdir()
    await runtime.start()
    await agent.start()
    try:
        yield Replica(scheduler, runtime, agent, folder, http, debug)
    finally:
        for part in (agent, runtime):
            await part.end(signal.SIGKILL)
        await scheduler.stop()
        print((folder / "agent.log").read_text())  # noqa: T201  # shown when a test fails


def a_model(folder: Path, name: str, memory_bytes: int = MIB) -> ModelVersion:
    source = folder / "models" / name
    source.mkdir(parents=True)
    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [0.0, float(len(name))]), source / "model.joblib")
    return a_version(name, 1, memory_bytes, uri=str(source))


async def test_models_come_and_go(replica: Replica) -> None:
    scheduler = replica.scheduler
    subscription = await scheduler.subscribed()
    assert subscription.config.capabilities == {"sklearn", "onnx"}
    assert subscription.available_bytes == 100 * MIB
    line, other = a_model(replica.folder, "line", 40 * MIB), a_model(replica.folder, "other", 70 * MIB)
    large = a_model(replica.folder, "large", 101 * MIB)

    scheduler.load(line)
    available = (await scheduler.hears(ModelEventKind.LOADED, line)).available_bytes
    assert 98 * MIB < available < 100 * MIB  # it counts what it was measured to take, which is little
    assert await index(replica.http) == {"line_1"}
    scheduler.load(large)
    refused = await scheduler.hears(ModelEventKind.LOAD_FAIL_MEMORY, large)
    assert refused.message.startswith("large_1 needs 101Mi of memory; local/0 has ")
    await until(lambda: scheduler.measures, "a report")
    async with grpc_server.channel(f"127.0.0.1:{replica.debug}") as channel:
        status = await service.Stub(channel, service.AGENT_DEBUG).ReplicaStatus(agent_debug.StatusRequest())
        assert agent_debug.decode_status(status) == (available, (("line_1", True),))

    scheduler.unload(line)
    await scheduler.hears(ModelEventKind.UNLOADED, line)
    assert await index(replica.http) == set()
    assert replica.on_disk() == []
    assert list((replica.folder / "agent" / "artifacts" / "sha256").iterdir()) == []
    scheduler.load(other)
    await scheduler.hears(ModelEventKind.LOADED, other)


def a_large_model(folder: Path, name: str, mebibytes: int) -> ModelVersion:
    """Declared as 1 MiB."""
    source = folder / "models" / name
    source.mkdir(parents=True)
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    model.ballast_ = np.random.default_rng(0).random((mebibytes << 20) // 8)
    joblib.dump(model, source / "model.joblib")
    return a_version(name, 1, MIB, uri=str(source))


async def test_a_model_counts_what_it_really_takes(replica: Replica) -> None:
    """What is measured is told before LOADED is, blocks what no longer fits, and is known to the next agent."""
    scheduler = replica.scheduler
    await scheduler.subscribed()
    large, other = a_large_model(replica.folder, "large", 48), a_model(replica.folder, "other", 60 * MIB)
    scheduler.load(large)
    available = (await scheduler.hears(ModelEventKind.LOADED, large)).available_bytes
    assert 0 < available < 52.5 * MIB
    measured = scheduler.measured("large_1")
    assert measured is not None
    assert 47.5 * MIB < measured < 100 * MIB
    scheduler.load(other)
    refused = await scheduler.hears(ModelEventKind.LOAD_FAIL_MEMORY, other)
    assert refused.message.startswith("other_1 needs 60Mi of memory; local/0 has ")
    await replica.kill(replica.agent)
    await replica.agent.start()
    assert (await scheduler.subscribed(2)).available_bytes < 52.5 * MIB
    scheduler.unload(large)
    await scheduler.hears(ModelEventKind.UNLOADED, large)
    scheduler.load(other)
    await scheduler.hears(ModelEventKind.LOADED, other)


async def test_a_model_that_turns_out_too_large_for_its_replica_is_unloaded_with_its_size(replica: Replica) -> None:
    scheduler = replica.scheduler
    await scheduler.subscribed()
    huge = a_large_model(replica.folder, "huge", 120)
    scheduler.load(huge)
    event = await scheduler.hears(ModelEventKind.LOAD_FAIL_MEMORY, huge)
    assert re.fullmatch(
        r"huge_1 takes 1\d\d(\.\d)?Mi of memory as measured \(1Mi declared\); "
        r"local/0 has 100Mi in all, so it is unloaded again",
        event.message,
    )
    assert (scheduler.measured("huge_1") or 0) > 119 * MIB
    await replica.holds()
    for _ in range(600):
        if replica.on_disk() == []:
            break
        await asyncio.sleep(0.1)
    assert replica.on_disk() == []
    assert ("LOADED", "huge_1") not in scheduler.heard()


async def test_what_cannot_be_loaded_says_why_and_leaves_nothing(replica: Replica) -> None:
    await replica.scheduler.subscribed()
    (replica.folder / "nonsense").mkdir()
    (replica.folder / "nonsense" / "model.joblib").write_bytes(b"not a model")
    nonsense = a_version("nonsense", uri=str(replica.folder / "nonsense"))
    missing = a_version("missing", uri="/no/such/folder")
    bucket = a_version("bucket", uri="nowhere://models/iris")
    for it in (nonsense, missing, bucket):
        replica.scheduler.load(it)
    event = await replica.scheduler.hears(ModelEventKind.LOAD_FAILED, nonsense)
    assert "cannot load it" in event.message
    event = await replica.scheduler.hears(ModelEventKind.LOAD_FAILED, missing)
    assert event.message == "cannot fetch /no/such/folder: /no/such/folder does not exist"
    event = await replica.scheduler.hears(ModelEventKind.LOAD_FAILED, bucket)
    assert "storage called 'nowhere': use s3://, gs:// or az://, or name a secret" in event.message
    assert replica.on_disk() == []


async def test_a_killed_runtime_gets_its_models_back_within_the_session(replica: Replica) -> None:
    await replica.scheduler.subscribed()
    models = [a_model(replica.folder, name) for name in ("a", "bb", "ccc")]
    for it in models:
        replica.scheduler.load(it)
        await replica.scheduler.hears(ModelEventKind.LOADED, it)
    await replica.kill(replica.runtime)
    await replica.runtime.start()
    await replica.holds("a_1", "bb_1", "ccc_1")
    assert len(replica.scheduler.sessions) == 1


async def test_a_killed_agent_finds_its_models_again_without_loading_them(replica: Replica) -> None:
    await replica.scheduler.subscribed()
    models = [a_model(replica.folder, name) for name in ("a", "bb")]
    for it in models:
        replica.scheduler.load(it)
        await replica.scheduler.hears(ModelEventKind.LOADED, it)
    loads = (replica.folder / "runtime.log").read_text().count("loaded a_1")
    assert loads == 1
    await replica.kill(replica.agent)
    assert await index(replica.http) == {"a_1", "bb_1"}
    await replica.agent.start()
    subscription = await replica.scheduler.subscribed(2)
    assert set(subscription.loaded) == set(models)
    measured = [replica.scheduler.measured(str(it.id)) or 0 for it in models]
    assert 0 < sum(measured) == 100 * MIB - subscription.available_bytes
    assert (replica.folder / "runtime.log").read_text().count("loaded a_1") == 1
    assert len(set(replica.scheduler.sessions)) == 2


async def test_an_agent_and_a_runtime_killed_together_load_what_was_assigned(replica: Replica) -> None:
    await replica.scheduler.subscribed()
    model = a_model(replica.folder, "a")
    replica.scheduler.load(model)
    await replica.scheduler.hears(ModelEventKind.LOADED, model)
    await replica.kill(replica.agent)
    await replica.kill(replica.runtime)
    await replica.runtime.start()
    await replica.agent.start()
    await replica.holds("a_1")


async def test_a_stopped_agent_leaves_its_models_serving(replica: Replica) -> None:
    await replica.scheduler.subscribed()
    model = a_model(replica.folder, "a")
    replica.scheduler.load(model)
    await replica.scheduler.hears(ModelEventKind.LOADED, model)
    assert await replica.agent.end(signal.SIGTERM) == 0
    assert await index(replica.http) == {"a_1"}
    assert "Traceback" not in (replica.folder / "agent.log").read_text()


async def test_a_superseded_agent_says_so_and_does_not_fight(replica: Replica) -> None:
    await replica.scheduler.subscribed()
    replica.scheduler.orders.put_nowait(grpc.StatusCode.ABORTED)
    assert replica.agent.process is not None
    assert await asyncio.wait_for(replica.agent.process.wait(), 60) == Superseded.exit_code
    log = (replica.folder / "agent.log").read_text()
    assert "another agent presented this replica" in log
    assert "Traceback" not in log
