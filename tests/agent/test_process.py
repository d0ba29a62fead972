"""One agent in this process, between a scheduler and a small V2 server that the test plays."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelyard.agent.process import AgentProcess
from modelyard.agent.settings import Folders, Limits, Settings
from modelyard.domain.agent_protocol import ModelEventKind, ModelVersion
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.server import ReplicaConfig
from modelyard.kit.errors import Refused
from modelyard.wire import agents
from modelyard.wire.oip.loading import LoadOrder, order_from_json
from tests.agent.peers import Answer, Scheduler, http_server, until
from tests.agent.stories import MIB, REPLICA, a_version


@dataclass
class Server:
    """A V2 model repository that does not say which instance it is. `takes`: bytes by name, told where there are any;
    `told_at_load`: also in the answer to a load."""

    ready: bool = True
    loaded: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    orders: list[LoadOrder] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    hold: asyncio.Event | None = None
    takes: dict[str, int] = field(default_factory=dict)
    told_at_load: dict[str, int] = field(default_factory=dict)

    async def answer(self, _method: str, path: str, body: bytes) -> Answer:
        match path.strip("/").split("/"):
            case ["v2", "health", "ready"]:
                return (200 if self.ready else 503), {}, b"{}"
            case ["v2", "repository", "index"]:
                listed = [{"name": it, "state": "READY"} for it in self.loaded] + [{"name": "x_1", "state": "LOADING"}]
                return 200, {}, json.dumps(listed).encode()
            case ["v2", "repository", "models", name, order]:
                self.calls.append(f"{order} {name}")
                if self.hold is not None:
                    await self.hold.wait()
                if f"{order} {name}" in self.refuse:
                    return 400, {}, json.dumps({"error": "it is broken"}).encode()
                if order == "load":
                    self.orders.append(order_from_json(json.loads(body)))
                    self.loaded.append(name)
                    if name in self.told_at_load:
                        return 200, {}, json.dumps({"memory_bytes": self.told_at_load[name], "note": "slow"}).encode()
                elif name in self.loaded:
                    self.loaded.remove(name)
                return 200, {}, b"{}"
            case ["v2", "modelyard", "models"] if self.takes:
                models = [{"name": it, "memory_bytes": self.takes[it]} for it in self.loaded if it in self.takes]
                return 200, {}, json.dumps({"models": models}).encode()
            case ["v2", "modelyard", "models"]:
                return 404, {}, b"{}"
        raise AssertionError(path)


@dataclass
class Setting:
    scheduler: Scheduler
    server: Server
    process: AgentProcess
    running: "asyncio.Task[None]"
    model: ModelVersion


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def setting(tmp_path: Path, server: Server) -> AsyncIterator[Setting]:
    scheduler = await Scheduler().start()
    (tmp_path / "model.onnx").write_bytes(b"x")
    async with http_server(server.answer) as url:
        process = AgentProcess(
            Settings(
                replica=REPLICA,
                config=ReplicaConfig("127.0.0.1", 1, 2, 100 * MIB),
                scheduler=f"127.0.0.1:{scheduler.port}",
                server_url=url,
                folders=Folders(tmp_path / "agent", tmp_path / "repository"),
                debug_address="127.0.0.1:0",
                limits=Limits(unload_grace_seconds=0),
            )
        )
        running = asyncio.create_task(process.run())
        yield Setting(scheduler, server, process, running, a_version(uri=str(tmp_path / "model.onnx")))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await scheduler.stop()


async def test_events_arrive_in_order_although_the_scheduler_stumbles(setting: Setting) -> None:
    scheduler, model = setting.scheduler, setting.model
    await scheduler.subscribed()
    scheduler.refuse = 3
    scheduler.load(model)
    await until(lambda: not scheduler.refuse, "the scheduler refused three times")
    scheduler.unload(model)
    await scheduler.hears(ModelEventKind.UNLOADED, model)
    assert scheduler.heard() == [("LOADED", "iris_1"), ("UNLOADED", "iris_1")]
    assert {session for session, _ in scheduler.events} == set(scheduler.sessions)


async def test_a_load_tells_the_server_what_the_manifest_says(setting: Setting, tmp_path: Path) -> None:
    scheduler, server = setting.scheduler, setting.server
    for number in ("1", "2"):
        (tmp_path / "numbered" / number).mkdir(parents=True)
        (tmp_path / "numbered" / number / "model.onnx").write_bytes(number.encode())
    (tmp_path / "told").mkdir()
    (tmp_path / "told" / "modelyard-model.json").write_text("{}")
    artifacts = [Artifact(str(tmp_path / "numbered"), 1), Artifact(str(tmp_path / "told"), 1)]
    await scheduler.subscribed()
    for number, artifact in enumerate(artifacts, 1):
        spec = ModelSpec(artifact, frozenset({"onnx", "big"}), MIB, parameters=(("batch", "no"),))
        model = ModelVersion(Model("iris", spec), number)
        scheduler.load(model)
        await scheduler.hears(ModelEventKind.LOADED, model)
    chosen, whole = server.orders
    assert chosen.artifact.endswith("/1")
    assert chosen == LoadOrder(("big", "onnx"), {"batch": "no"}, chosen.artifact)
    # Settings of ours are to choose, so the folder was left to the runtime.
    assert whole == LoadOrder(("big", "onnx"), {"batch": "no"}, whole.artifact, artifact_version=1)
    assert len(whole.artifact) == 64


async def test_a_new_session_begins_with_the_truth(setting: Setting) -> None:
    scheduler, model = setting.scheduler, setting.model
    await scheduler.subscribed()
    scheduler.load(model)
    await scheduler.hears(ModelEventKind.LOADED, model)
    await scheduler.stop()
    await scheduler.start(reports=False)
    assert (await scheduler.subscribed(2)).loaded == (model,)
    assert len(set(scheduler.sessions)) == 2
    scheduler.unload(model)
    await scheduler.hears(ModelEventKind.UNLOADED, model)
    assert scheduler.events[-1][0] == scheduler.sessions[-1]


async def test_what_the_agent_does_not_know_it_ignores(setting: Setting) -> None:
    await setting.scheduler.subscribed()
    setting.scheduler.orders.put_nowait(agents.OperationMessage.FromString(b"\x08\x63"))  # operation 99
    setting.scheduler.load(setting.model)
    await setting.scheduler.hears(ModelEventKind.LOADED, setting.model)
    assert len(setting.scheduler.sessions) == 1


async def test_a_model_that_the_server_lost_without_a_word_is_loaded_again(setting: Setting) -> None:
    await setting.scheduler.subscribed()
    setting.scheduler.load(setting.model)
    await setting.scheduler.hears(ModelEventKind.LOADED, setting.model)
    setting.server.loaded.clear()
    await until(lambda: setting.server.loaded == ["iris_1"], "loaded again")


async def test_an_unload_that_the_server_refuses_is_tried_once_more_and_counts_on(setting: Setting) -> None:
    big = ModelVersion(a_version(memory_bytes=80 * MIB, uri=setting.model.model.spec.artifact.uri).model, 1)
    await setting.scheduler.subscribed()
    setting.scheduler.load(big)
    await setting.scheduler.hears(ModelEventKind.LOADED, big)
    setting.server.refuse = {"unload iris_1"}
    setting.scheduler.unload(big)
    event = await setting.scheduler.hears(ModelEventKind.UNLOAD_FAILED, big)
    assert event.message == "the inference server cannot unload it: it is broken"
    assert event.available_bytes == 20 * MIB
    assert setting.server.calls.count("unload iris_1") == 2
    setting.server.refuse.clear()
    setting.scheduler.unload(big)
    await setting.scheduler.hears(ModelEventKind.UNLOADED, big)


async def test_an_unload_that_comes_while_it_loads_follows_it(setting: Setting) -> None:
    await setting.scheduler.subscribed()
    setting.server.hold = asyncio.Event()
    setting.scheduler.load(setting.model)
    await until(lambda: setting.server.calls, "the load was asked for")
    setting.scheduler.unload(setting.model)
    entries = setting.process.agent.entries
    await until(lambda: entries[setting.model.id].leave, "the unload was heard")
    setting.server.hold.set()
    await setting.scheduler.hears(ModelEventKind.UNLOADED, setting.model)
    assert setting.scheduler.heard() == [("UNLOADED", "iris_1")]
    assert setting.server.loaded == []


async def test_what_is_measured_is_told_before_the_load_is_and_again_when_it_grows(setting: Setting) -> None:
    scheduler, server = setting.scheduler, setting.server
    server.takes = server.told_at_load = {"iris_1": 30 * MIB}
    await scheduler.subscribed()
    scheduler.load(setting.model)
    event = await scheduler.hears(ModelEventKind.LOADED, setting.model)
    assert event.available_bytes == 70 * MIB
    assert scheduler.said[:2] == ["report", "LOADED"]
    assert (scheduler.measured("iris_1"), scheduler.noted("iris_1")) == (30 * MIB, "slow")
    server.takes = {"iris_1": 50 * MIB}
    await until(lambda: scheduler.measured("iris_1") == 50 * MIB, "the larger figure")
    assert scheduler.noted("iris_1") == ""


async def test_a_model_that_grows_too_large_is_unloaded_and_its_size_is_known(setting: Setting) -> None:
    scheduler, server = setting.scheduler, setting.server
    server.takes = {"iris_1": 30 * MIB}
    await scheduler.subscribed()
    scheduler.load(setting.model)
    await scheduler.hears(ModelEventKind.LOADED, setting.model)
    server.takes = {"iris_1": 130 * MIB}
    event = await scheduler.hears(ModelEventKind.LOAD_FAIL_MEMORY, setting.model)
    assert event.message == (
        "iris_1 takes 130Mi of memory as measured (0 declared); local/0 has 100Mi in all, so it is unloaded again"
    )
    await until(lambda: server.loaded == [], "unloaded")
    assert scheduler.measured("iris_1") == 130 * MIB


async def test_a_report_that_did_not_arrive_is_told_with_the_next(setting: Setting) -> None:
    scheduler, server = setting.scheduler, setting.server
    server.told_at_load = {"iris_1": 30 * MIB}
    await scheduler.subscribed()
    scheduler.refuse_reports = 2
    scheduler.load(setting.model)
    await scheduler.hears(ModelEventKind.LOADED, setting.model)
    await until(lambda: scheduler.measured("iris_1") == 30 * MIB, "the figure")
    assert scheduler.refuse_reports == 0


async def test_a_scheduler_without_reports_hears_of_its_models_all_the_same(setting: Setting) -> None:
    scheduler = setting.scheduler
    await scheduler.subscribed()
    await scheduler.stop()
    await scheduler.start(reports=False)
    await scheduler.subscribed(2)
    setting.server.told_at_load = {"iris_1": 30 * MIB}
    scheduler.load(setting.model)
    assert (await scheduler.hears(ModelEventKind.LOADED, setting.model)).available_bytes == 70 * MIB
    scheduler.unload(setting.model)
    await scheduler.hears(ModelEventKind.UNLOADED, setting.model)


async def test_what_nobody_assigned_is_unloaded(server: Server, setting: Setting) -> None:
    await setting.scheduler.subscribed()
    server.loaded += ["stranger_3", "not-ours"]
    await until(lambda: server.loaded == ["not-ours"], "the stranger is gone")
    assert setting.scheduler.heard() == []


async def test_a_server_that_is_not_ready_yet_is_waited_for(tmp_path: Path) -> None:
    scheduler, server = await Scheduler().start(), Server(ready=False)
    looks: list[str] = []

    async def answer(method: str, path: str, body: bytes) -> Answer:
        looks.append(path)
        return await server.answer(method, path, body)

    async with http_server(answer) as url:
        process = AgentProcess(
            Settings(
                REPLICA, ReplicaConfig("127.0.0.1", 1, 2, MIB), f"127.0.0.1:{scheduler.port}", url,
                Folders(tmp_path / "agent", tmp_path / "repository"), "127.0.0.1:0",
            )
        )  # fmt: skip
        running = asyncio.create_task(process.run())
        await until(lambda: len(looks) > 2, "it was looked at")
        assert scheduler.subscriptions == []
        server.ready = True
        await scheduler.subscribed()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await scheduler.stop()


async def test_a_busy_debug_port_is_one_sentence(tmp_path: Path) -> None:
    scheduler = await Scheduler().start()
    address = f"127.0.0.1:{scheduler.port}"
    folders = Folders(tmp_path / "agent", tmp_path / "repository")
    config = ReplicaConfig("127.0.0.1", 1, 2, MIB)
    with pytest.raises(Refused, match="the port is busy"):
        await AgentProcess(Settings(REPLICA, config, address, "http://127.0.0.1:1", folders, address)).run()
    await scheduler.stop()
