"""The agent as a process beside a real MLServer and a real Triton, under a scheduler that the test plays."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import modelyard.agent.servers
from modelyard.domain.agent_protocol import ModelEventKind, ModelVersion
from modelyard.domain.names import ReplicaId
from modelyard.run import commands, shared_memory
from modelyard.run.programs import Program
from modelyard.run.replica import ReplicaPorts
from tests import servers
from tests.agent.peers import Process, Scheduler, free_port, index
from tests.agent.stories import MIB, a_version

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.timeout(servers.INSTALL_SECONDS)]
REPLICA = ReplicaId("box", 0)


class Server(Process):
    """An inference server in a process group of its own, as the supervisor starts it."""

    async def start(self) -> "Server":
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.argv, stdout=log, stderr=log, start_new_session=True, cwd=self.log.parent
            )
        return self

    async def end(self, number: int) -> int:
        assert self.process is not None
        code = await super().end(number)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return code


@dataclass
class Replica:
    scheduler: Scheduler
    server: Server
    folder: Path
    http: int

    async def loads(self, model: ModelVersion) -> Any:
        self.scheduler.load(model)
        return await self.scheduler.hears(ModelEventKind.LOADED, model)

    async def fails(self, model: ModelVersion) -> str:
        self.scheduler.load(model)
        event = await self.scheduler.hears(ModelEventKind.LOAD_FAILED, model)
        return str(event.message)

    async def holds(self, *names: str) -> None:
        found: set[str] | None = None
        for _ in range(600):
            found = await index(self.http)
            if found is not None and {it for it in found if not it.startswith(".")} == set(names):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not in time: {names} loaded, but {found}")

    async def ask(self, name: str, row: list[float]) -> list[float]:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": row}]}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"http://127.0.0.1:{self.http}/v2/models/{name}/infer", json=body)
        answer.raise_for_status()
        data: list[float] = answer.json()["outputs"][0]["data"]
        return data

    def in_repository(self, name: str) -> set[str]:
        folder = self.folder / "repository" / name
        return {it.relative_to(folder).as_posix() for it in folder.rglob("*") if it.is_file()}

    def in_cache(self) -> list[Path]:
        return [it for it in (self.folder / "agent" / "artifacts" / "sha256").rglob("*") if it.is_file()]


@pytest.fixture(scope="module")
def mlserver() -> Program:
    return servers.program("mlserver")


@pytest.fixture(scope="module")
def triton() -> Program:
    return servers.program("triton")


async def run(config: str, program: Program, folder: Path) -> AsyncIterator[Replica]:
    scheduler = await Scheduler().start()
    ports = ReplicaPorts(*(free_port() for _ in range(5)))
    home = commands.replica_dir(folder, REPLICA)
    (home / "repository").mkdir(parents=True)
    server = Server("", log=folder / "server.log")
    server.argv = commands.server(folder, REPLICA, ports, config, program)
    agent = Process(
        "modelyard.run.agent",
        *("--server-name", REPLICA.server, "--server-idx", REPLICA.index, "--scheduler-port", scheduler.port),
        *("--inference-http-port", ports.http, "--inference-grpc-port", ports.grpc, "--memory-bytes", 100 * MIB),
        *("--server-type", config, "--agent-folder", home / "agent", "--repository", home / "repository"),
        *("--debug-grpc-port", ports.debug),
        log=folder / "agent.log",
    )
    await server.start()
    await agent.start()
    try:
        await scheduler.subscribed()
        yield Replica(scheduler, server, home, ports.http)
    finally:
        for part in (agent, server):
            await part.end(signal.SIGKILL)
        shared_memory.clear(commands.shared_memory_prefix(folder, REPLICA))
        await scheduler.stop()
        print((folder / "agent.log").read_text(), (folder / "server.log").read_text())  # noqa: T201  # if it fails


@pytest.fixture
async def beside_mlserver(mlserver: Program, tmp_path: Path) -> AsyncIterator[Replica]:
    async for replica in run("mlserver", mlserver, tmp_path):
        yield replica


@pytest.fixture
async def beside_triton(triton: Program, tmp_path: Path) -> AsyncIterator[Replica]:
    async for replica in run("triton", triton, tmp_path):
        yield replica


def wanting(model: ModelVersion, *requirements: str, **fields: Any) -> ModelVersion:
    spec = replace(model.model.spec, requirements=frozenset(requirements), **fields)
    return replace(model, model=replace(model.model, spec=spec))


async def test_models_come_to_mlserver_and_go(beside_mlserver: Replica, tmp_path: Path) -> None:
    replica = beside_mlserver
    subscription = replica.scheduler.subscriptions[0]
    assert {"mlserver", "sklearn", "huggingface"} <= subscription.config.capabilities  # nobody told it otherwise
    iris = wanting(a_version("iris", 2, MIB, uri=str(servers.write_iris(tmp_path / "iris"))), "mlserver", "sklearn")
    given = {"name": "theirs", "implementation": "echo.Echo", "parameters": {"version": "v7"}}
    folder = servers.write_echo(tmp_path / "echo")
    (folder / "model-settings.json").write_text(json.dumps(given))
    echo = wanting(a_version("echo", 1, MIB, uri=str(folder)), "mlserver", parameters=(("plus", "0.5"),))

    await replica.loads(iris)
    assert await replica.ask("iris_2", [5.1, 3.5, 1.4, 0.2]) == [0]
    assert replica.in_repository("iris_2") == {"iris.joblib", "model-settings.json"}
    await replica.loads(echo)
    assert await replica.ask("echo_1", [1, 2, 3, 4]) == [1.5, 2.5, 3.5, 4.5]
    await replica.holds("iris_2", "echo_1")
    written = json.loads((replica.folder / "repository" / "echo_1" / "model-settings.json").read_text())
    assert written == {
        "name": "echo_1",
        "implementation": "echo.Echo",
        "parameters": {"version": "1", "extra": {"plus": "0.5"}},
    }
    cached = [it for it in replica.in_cache() if it.name == "model-settings.json"]
    assert [json.loads(it.read_text()) for it in cached] == [given]

    replica.scheduler.unload(iris)
    await replica.scheduler.hears(ModelEventKind.UNLOADED, iris)
    await replica.holds("echo_1")
    assert not replica.in_repository("iris_2")


async def test_what_mlserver_cannot_load_says_why_and_leaves_nothing(beside_mlserver: Replica, tmp_path: Path) -> None:
    replica = beside_mlserver
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "model.txt").write_text("nothing")
    uri = str(tmp_path / "plain")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.joblib").write_bytes(b"not a model")
    mute = servers.write_echo(tmp_path / "mute", ready=False)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model-settings.json").write_text("{")

    async def failing(name: str, folder: Path, *requirements: str) -> str:
        return await replica.fails(wanting(a_version(name, uri=str(folder)), *requirements))

    said = await failing("plain", tmp_path / "plain", "mlserver")
    assert said.startswith(f"cannot use {uri}: it has no model-settings.json that names an implementation")
    said = await failing("broken", broken, "sklearn")
    assert said == "the inference server cannot load it: it gave no reason but '110'; its log has more"
    said = await failing("flow", broken, "mlflow")
    sentence = "the Python package 'mlserver_mlflow' is not installed where the inference server runs"
    assert said == f"the inference server cannot load it: {sentence}"
    said = await failing("mute", mute, "python")
    assert said == "the inference server loaded it, but it says that it is not ready"
    said = await failing("bad", tmp_path / "bad", "sklearn")
    assert said.startswith(f"cannot use {tmp_path}/bad: model-settings.json is not JSON: ")
    await replica.holds()
    assert sorted(it.name for it in (replica.folder / "repository").iterdir()) == [".modelyard"]


async def test_a_load_that_keeps_mlserver_from_answering_is_waited_for(
    beside_mlserver: Replica, tmp_path: Path
) -> None:
    """Longer than anybody waits for an answer to a look; another load is under way, and must not fail for it."""
    replica = beside_mlserver
    slow = str(servers.write_echo(tmp_path / "slow", seconds=5))
    quick = str(servers.write_echo(tmp_path / "quick"))
    models = [
        wanting(a_version(name, uri=uri), "python", parameters=(("plus", "1"),))
        for name, uri in (("slow", slow), ("quick", quick), ("slow-too", slow))
    ]
    for it in models:
        replica.scheduler.load(it)
    for it in models:
        await replica.scheduler.hears(ModelEventKind.LOADED, it)
    assert len(replica.scheduler.events) == len(models)
    log = (tmp_path / "agent.log").read_text()
    assert "went away" not in log


async def test_models_come_to_triton_and_go(beside_triton: Replica, tmp_path: Path) -> None:
    replica = beside_triton
    uri = str(servers.write_identity(tmp_path / "identity", instances=2))
    twice = wanting(a_version("twice", 4, 30 * MIB, uri=uri), "triton", "python")
    event = await replica.loads(twice)
    assert (event.copies, event.available_bytes) == (2, 40 * MIB)
    assert await replica.ask("twice_4", [1, 2, 3, 4]) == [1, 2, 3, 4]
    files = {it for it in replica.in_repository("twice_4") if "__pycache__" not in it}
    assert files == {"config.pbtxt", "1/model.py"}
    assert 'name: "twice_4"' in (replica.folder / "repository" / "twice_4" / "config.pbtxt").read_text()
    (cached,) = [it for it in replica.in_cache() if it.name == "config.pbtxt"]
    assert "as-its-author-called-it" in cached.read_text()
    replica.scheduler.unload(twice)
    await replica.scheduler.hears(ModelEventKind.UNLOADED, twice)
    assert await index(replica.http) == set()  # already: not just on its way out
    assert not replica.in_repository("twice_4")


async def test_what_triton_cannot_load_says_why_and_leaves_nothing(beside_triton: Replica, tmp_path: Path) -> None:
    replica = beside_triton
    folder = servers.write_identity(tmp_path / "identity")
    first = a_version("first", uri=str(folder))
    artifact = replace(first.model.spec.artifact, version=1)
    said = await replica.fails(wanting(first, "triton", "python", artifact=artifact))
    sentence = "the Python package 'no_such_package' is not installed where the inference server runs"
    assert said == f"the inference server cannot load it: {sentence}"
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.pbtxt").write_text('name: "a"\ninput {')
    said = await replica.fails(wanting(a_version("bad", uri=str(tmp_path / "bad")), "triton"))
    assert said == f"cannot use {tmp_path}/bad: config.pbtxt ends within a field"
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "model.onnx").write_bytes(b"not a graph")
    said = await replica.fails(wanting(a_version("graph", uri=str(tmp_path / "graph")), "triton", "onnx"))
    assert "onnxruntime" in said
    assert sorted(it.name for it in (replica.folder / "repository").iterdir()) == [".modelyard"]


@pytest.mark.parametrize("config", ["mlserver", "triton"])
async def test_a_killed_server_gets_its_models_back_within_the_session(
    config: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    program: Program = request.getfixturevalue(config)
    async for replica in run(config, program, tmp_path):
        if config == "mlserver":
            model = wanting(a_version("iris", uri=str(servers.write_iris(tmp_path / "iris"))), "sklearn")
        else:
            model = wanting(a_version("same", uri=str(servers.write_identity(tmp_path / "same"))), "python")
        await replica.loads(model)
        assert await replica.server.end(signal.SIGKILL) == -signal.SIGKILL
        await replica.server.start()
        await replica.holds(str(model.id))
        assert len(replica.scheduler.sessions) == 1


REREADING = """
import asyncio, json, os, pathlib, sys
from modelyard_repository import FolderRepository
from mlserver.errors import ModelNotFound

root = pathlib.Path(sys.argv[1])

def write(name, **more):
    (root / name).mkdir(exist_ok=True)
    new = root / name / "new"
    new.write_text(json.dumps({"name": name, "implementation": "x.Y", **more}))
    new.replace(root / name / "model-settings.json")

async def main():
    repository = FolderRepository(str(root))
    assert await repository.list() == []
    write("a_1")
    write("b_1")
    (root / ".modelyard" / "c_1").mkdir(parents=True)
    first = {it.name: it for it in await repository.list()}
    assert set(first) == {"a_1", "b_1"}
    write("b_1", max_batch_size=3)
    second = {it.name: it for it in await repository.list()}
    assert second["a_1"] is first["a_1"], "not read again"
    assert second["b_1"].max_batch_size == 3
    (found,) = await repository.find("a_1")
    assert found.name == "a_1" and found is not first["a_1"]
    (root / "b_1" / "model-settings.json").write_text("{")
    assert [it.name for it in await repository.list()] == ["a_1"]
    for name in ("c_1", "../outside", ""):
        try:
            await repository.find(name)
        except ModelNotFound:
            continue
        raise AssertionError(name)

asyncio.run(main())
"""


def test_mlserver_reads_a_settings_file_again_only_when_it_changed(mlserver: Program, tmp_path: Path) -> None:
    side = Path(modelyard.agent.servers.__path__[0]) / "in_mlserver"
    done = subprocess.run(
        [mlserver.binary, "-c", REREADING, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(side)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
