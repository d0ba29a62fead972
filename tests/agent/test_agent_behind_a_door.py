"""The agent as a process, its front door as another, before a server that knows models by name only."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from modelyard.domain.agent_protocol import ModelEventKind, ModelVersion
from modelyard.kit import clock
from modelyard.wire import agent_debug, grpc_server, service
from tests.agent.door_rig import HEADER
from tests.agent.named_server import NamedServer
from tests.agent.peers import DEADLINE_SECONDS, Process, Scheduler, free_port, until
from tests.agent.stories import MIB, a_version

pytestmark = pytest.mark.e2e


@dataclass
class Replica:
    scheduler: Scheduler
    server: NamedServer
    door: Process
    agent: Process
    folder: Path
    http: httpx.AsyncClient
    ports: tuple[int, int]
    debug: int

    async def infer(self, model: ModelVersion) -> httpx.Response:
        return await self.http.post("/v2/models/any/infer", json={}, headers={HEADER: str(model.id)})

    async def answers(self, model: ModelVersion) -> httpx.Response:
        """As soon as the door takes requests at all."""
        end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while True:
            try:
                return await self.infer(model)
            except httpx.TransportError:
                assert asyncio.get_running_loop().time() < end, "the door stays shut"
                await asyncio.sleep(0.02)


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    scheduler, server = await Scheduler().start(), await NamedServer("server").start()
    http_port, grpc_port, debug = free_port(), free_port(), free_port()
    door = Process(
        "modelyard.run.front_door",
        *("--http", f"127.0.0.1:{http_port}", "--grpc", f"127.0.0.1:{grpc_port}", "--agent-folder", tmp_path / "agent"),
        log=tmp_path / "door.log",
    )
    agent = Process(
        "modelyard.run.agent",
        *("--server-name", "mls", "--server-idx", 0, "--server-type", "mlserver"),
        *("--scheduler-port", scheduler.port, "--agent-folder", tmp_path / "agent", "--memory-bytes", 100 * MIB),
        *("--inference-http-port", server.http_port, "--inference-grpc-port", server.grpc_port),
        *("--reverse-proxy-http-port", http_port, "--reverse-proxy-grpc-port", grpc_port, "--debug-grpc-port", debug),
        log=tmp_path / "agent.log",
    )
    await agent.start()
    await door.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}", timeout=DEADLINE_SECONDS) as http:
        try:
            yield Replica(scheduler, server, door, agent, tmp_path, http, (http_port, grpc_port), debug)
        finally:
            server.released.set()
            for part in (agent, door):
                await part.end(signal.SIGKILL)
            await scheduler.stop()
            await server.stop()
            print((tmp_path / "agent.log").read_text())  # noqa: T201  # shown when a test fails


def a_model(folder: Path, name: str) -> ModelVersion:
    source = folder / "models" / name
    source.mkdir(parents=True)
    settings = {"name": name, "implementation": "mlserver_sklearn.SKLearnModel"}
    (source / "model-settings.json").write_text(json.dumps(settings))
    (source / "model.joblib").write_bytes(b"this server does not read it")
    return a_version(name, 1, MIB, uri=str(source))


async def loaded(replica: Replica, name: str) -> ModelVersion:
    model = a_model(replica.folder, name)
    await replica.scheduler.subscribed()
    replica.scheduler.load(model)
    await replica.scheduler.hears(ModelEventKind.LOADED, model)
    return model


async def test_the_scheduler_hears_of_the_doors_ports_and_of_loads_that_requests_can_reach(replica: Replica) -> None:
    config = (await replica.scheduler.subscribed()).config
    assert (config.http_port, config.grpc_port) == replica.ports
    for number in range(10):
        model = await loaded(replica, f"m{number}")
        answer = await replica.infer(model)  # at once: that is what LOADED means
        assert (answer.status_code, answer.json()["model_name"]) == (200, str(model.id))


async def test_an_unload_waits_for_the_requests_in_flight(replica: Replica) -> None:
    model, other = await loaded(replica, "iris"), await loaded(replica, "wine")
    replica.server.held = {"iris_1"}
    request = asyncio.create_task(replica.infer(model))
    await until(lambda: replica.server.asked() == 1, "the request arrives")
    for each in (model, other):
        replica.scheduler.unload(each)
    await replica.scheduler.hears(ModelEventKind.UNLOADED, other)
    assert "unload iris_1" not in replica.server.acts
    replica.server.released.set()
    await replica.scheduler.hears(ModelEventKind.UNLOADED, model)
    assert (await request).status_code == 200
    assert replica.server.acts[-1] == "unload iris_1"
    assert (await replica.infer(model)).headers["x-modelyard-not-loaded"] == "true"


async def test_the_door_outlives_its_agent_and_is_adopted(replica: Replica) -> None:
    model = await loaded(replica, "iris")
    await replica.agent.end(signal.SIGKILL)
    assert (await replica.infer(model)).status_code == 200
    await replica.agent.start()
    subscription = await replica.scheduler.subscribed(2)
    assert [it.id for it in subscription.loaded] == [model.id]
    assert (await replica.infer(model)).status_code == 200
    other = await loaded_again(replica, "wine")
    assert (await replica.infer(other)).status_code == 200
    assert replica.server.acts.count("load iris_1") == 1


async def loaded_again(replica: Replica, name: str) -> ModelVersion:
    model = a_model(replica.folder, name)
    replica.scheduler.load(model)
    await replica.scheduler.hears(ModelEventKind.LOADED, model)
    return model


async def test_a_killed_door_comes_back_with_everything_and_the_session_stays(replica: Replica) -> None:
    model = await loaded(replica, "iris")
    await replica.door.end(signal.SIGKILL)
    wine = a_model(replica.folder, "wine")
    replica.scheduler.load(wine)  # while there is no door: it is loaded once requests can reach it
    await until(lambda: "load wine_1" in replica.server.acts, "the server loads it")
    await replica.door.start()
    assert (await replica.answers(model)).status_code == 200
    await replica.scheduler.hears(ModelEventKind.LOADED, wine)
    assert (await replica.infer(wine)).status_code == 200
    assert len(replica.scheduler.subscriptions) == 1


async def test_models_of_a_server_that_starts_again_are_let_through_once_they_are_loaded_again(
    replica: Replica,
) -> None:
    model = await loaded(replica, "iris")
    await replica.server.stop()
    assert (await replica.infer(model)).headers["x-modelyard-not-loaded"] == "true"
    log = replica.folder / "agent.log"
    await until(lambda: "the inference server went away" in log.read_text(), "the agent notices")
    replica.server.models.clear()
    await replica.server.start()
    await until(lambda: replica.server.acts.count("load iris_1") == 2, "it is loaded again")
    while (answer := await replica.infer(model)).status_code != 200:
        assert answer.headers["x-modelyard-not-loaded"] == "true"  # never the server's own "unknown model"
        await asyncio.sleep(0.02)
    assert replica.server.acts.count("infer iris_1") == 1


async def test_the_debug_service_says_when_a_model_was_used_last(replica: Replica) -> None:
    used, unused = await loaded(replica, "iris"), await loaded(replica, "wine")
    began = clock.now()
    await replica.infer(used)
    async with grpc_server.channel(f"127.0.0.1:{replica.debug}") as channel:
        stub = service.Stub(channel, service.AGENT_DEBUG)
        end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while not (seen := agent_debug.decode_last_used(await stub.ReplicaStatus(agent_debug.StatusRequest()))):
            assert asyncio.get_running_loop().time() < end, "the use is not seen"
            await asyncio.sleep(0.05)
    assert seen.keys() == {str(used.id)} != {str(unused.id)}
    assert began <= seen[str(used.id)] <= clock.now()
