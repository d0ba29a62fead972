"""The reference's API over real gRPC: semantics, statuses, subscriptions and refusals."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from modelyard import __version__
from modelyard.domain.agent_protocol import ModelEventKind
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb
from tests.scheduler.rig import PATIENCE, Rig, agent, held, load_request, scheduler, version


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with scheduler(tmp_path) as it:
        yield it


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def drained(stream: Any) -> list[Any]:
    return [it async for it in stream]


async def until_read(stream: Any, true: Any) -> Any:
    """The first message of which it is true."""
    async with asyncio.timeout(PATIENCE):
        while not true(it := await stream.read()):
            assert it is not grpc.aio.EOF
        return it


# -- models


async def test_an_identical_model_is_no_change_and_another_spec_a_new_version(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        for uri in ("file:///one", "file:///one", "file:///two"):
            await rig.load("iris", uri=uri)
            await rig.available("iris")
        await peer.is_told("LOAD iris_1", "LOAD iris_2", "UNLOAD iris_1")
        (it,) = (await rig.status("iris")).versions
        assert (it.version, it.serverName, it.modelDefn.modelSpec.uri) == (2, "local", "file:///two")


async def test_other_counts_are_the_same_version(rig: Rig) -> None:
    async with agent(rig.agents_address, "local/0"), agent(rig.agents_address, "local/1"):
        await rig.available_server(replicas=2)
        await rig.load("iris")
        await rig.available("iris")
        await rig.load("iris", replicas=2)
        await rig.available("iris")
        (it,) = (await rig.status("iris")).versions
        assert (it.version, it.state.availableReplicas) == (1, 2)
        assert {index: s.state for index, s in it.modelReplicaState.items()} == {
            0: pb.ModelReplicaStatus.Available,
            1: pb.ModelReplicaStatus.Available,
        }


async def test_a_model_without_a_place_is_refused_with_the_reasons_and_kept(rig: Rig) -> None:
    async with agent(rig.agents_address, can=("sklearn",)):
        await rig.available_server()
        code, said = await refused(rig.api.LoadModel(load_request("iris", requirements=["onnx"])))
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert "local/0: lacks onnx (has sklearn)" in said
        (it,) = (await rig.status("iris")).versions
        assert (it.state.state, it.state.reason) == (pb.ModelStatus.ScheduleFailed, said.split("nowhere: ")[1])
        async with agent(rig.agents_address, "gpu/0", can=("onnx",)):
            await rig.available("iris")


@pytest.mark.parametrize(
    ("name", "spec", "said"),
    [
        ("Iris", {}, "model name: 'Iris' is not a valid name"),
        ("", {}, "model name: a name is needed"),
        ("iris", {"uri": ""}, "model iris has no storageUri"),
        ("iris", {"replicas": 1, "minReplicas": 2}, "model iris: replicas 1 is below minReplicas 2"),
    ],
)
async def test_what_can_never_be_served_is_an_invalid_argument(
    rig: Rig, name: str, spec: dict[str, Any], said: str
) -> None:
    code, details = await refused(rig.api.LoadModel(load_request(name, **spec)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(said)
    assert rig.core.machine.state.models == {}


async def test_unloading_what_is_not_there_is_not_found(rig: Rig) -> None:
    request = pb.UnloadModelRequest(model=pb.ModelReference(name="nobody"))
    assert await refused(rig.api.UnloadModel(request)) == (
        grpc.StatusCode.NOT_FOUND,
        "no model is named 'nobody'",
    )


@pytest.mark.parametrize(
    ("rpc", "request_message"),
    [
        ("ModelStatus", pb.ModelStatusRequest(model=pb.ModelReference(name="nobody"))),
        ("ServerStatus", pb.ServerStatusRequest(name="nobody")),
    ],
)
async def test_the_status_of_what_is_not_there_is_not_found(rig: Rig, rpc: str, request_message: Any) -> None:
    code, said = await refused(drained(getattr(rig.api, rpc)(request_message)))
    assert code is grpc.StatusCode.NOT_FOUND
    assert "nobody" in said


async def test_the_status_of_all_models_names_each_and_all_versions_on_demand(rig: Rig) -> None:
    async with agent(rig.agents_address, memory=1000):
        await rig.available_server()
        await rig.load("wine")
        await rig.load("iris", memoryBytes=600)
        await rig.available("iris")
        assert (await refused(rig.api.LoadModel(load_request("iris", memoryBytes=601))))[1].endswith(
            "does not fit beside version 1); version 1 goes on serving"
        )
        every = await drained(rig.api.ModelStatus(pb.ModelStatusRequest()))
        assert [(it.modelName, [v.version for v in it.versions]) for it in every] == [("iris", [2]), ("wine", [1])]
        request = pb.ModelStatusRequest(model=pb.ModelReference(name="iris"), allVersions=True)
        (it,) = await drained(rig.api.ModelStatus(request))
        assert [(v.version, v.state.state) for v in it.versions] == [
            (1, pb.ModelStatus.ModelAvailable),
            (2, pb.ModelStatus.ScheduleFailed),
        ]


async def test_who_subscribes_to_models_hears_of_each_to_its_end(rig: Rig) -> None:
    async with agent(rig.agents_address):
        await rig.load("iris")
        await rig.available("iris")
        stream = rig.api.SubscribeModelStatus(pb.ModelSubscriptionRequest(subscriberName="test"))
        first = await asyncio.wait_for(stream.read(), PATIENCE)
        assert (first.modelName, first.versions[0].state.state) == ("iris", pb.ModelStatus.ModelAvailable)
        await rig.load("wine")
        await until_read(
            stream,
            lambda it: it.modelName == "wine" and it.versions[-1].state.state == pb.ModelStatus.ModelAvailable,
        )
        await rig.api.UnloadModel(pb.UnloadModelRequest(model=pb.ModelReference(name="iris")))
        last = await until_read(stream, lambda it: it.deleted)
        assert (last.modelName, [v.version for v in last.versions]) == ("iris", [1])
        assert last.versions[0].state.state == pb.ModelStatus.ModelTerminated
        assert last.versions[0].state.availableReplicas == 0
        stream.cancel()
    assert await refused(rig.status("iris")) == (grpc.StatusCode.NOT_FOUND, "no model is named 'iris'")


# -- servers


async def test_servers_are_told_with_their_memory_and_models(rig: Rig) -> None:
    stream = rig.api.SubscribeServerStatus(pb.ServerSubscriptionRequest(subscriberName="test"))
    notice = pb.ServerNotify(name="local", expectedReplicas=2, shared=True)
    await rig.api.ServerNotify(pb.ServerNotifyRequest(servers=[notice]))
    await until_read(stream, lambda it: it.expectedReplicas == 2 and it.availableReplicas == 0)
    async with agent(rig.agents_address, memory=1000):
        await rig.load("iris", memoryBytes=300)
        await rig.available("iris")
        it = await until_read(stream, lambda it: it.numLoadedModelReplicas == 1)
        assert (it.serverName, it.expectedReplicas, it.availableReplicas) == ("local", 2, 1)
        (resources,) = it.resources
        assert (resources.totalMemoryBytes, resources.availableMemoryBytes) == (1000, 700)
    stream.cancel()


async def test_a_notice_with_a_bad_name_is_an_invalid_argument(rig: Rig) -> None:
    request = pb.ServerNotifyRequest(servers=[pb.ServerNotify(name="no_good", expectedReplicas=1)])
    code, said = await refused(rig.api.ServerNotify(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "no_good" in said


async def test_an_absurd_number_of_replicas_is_an_invalid_argument(rig: Rig) -> None:
    request = pb.ServerNotifyRequest(servers=[pb.ServerNotify(name="local", expectedReplicas=2**32 - 1)])
    code, said = await refused(rig.api.ServerNotify(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "4294967295 expected replicas" in said


# -- the scheduler, and what is not built yet


async def test_the_scheduler_tells_its_version(rig: Rig) -> None:
    answer = await rig.api.SchedulerStatus(pb.SchedulerStatusRequest())
    assert answer.applicationVersion == __version__


async def test_the_control_plane_is_asked_for_servers_first(rig: Rig) -> None:
    stream = rig.api.SubscribeControlPlane(pb.ControlPlaneSubscriptionRequest(subscriberName="test"))
    events = [(await asyncio.wait_for(stream.read(), PATIENCE)).event for _ in range(4)]
    assert [pb.ControlPlaneResponse.Event.Name(it) for it in events] == [
        "SEND_SERVERS",
        "SEND_EXPERIMENTS",
        "SEND_MODELS",
        "SEND_PIPELINES",
    ]
    stream.cancel()


async def test_after_a_restart_the_rest_is_asked_for_when_agents_have_reported(tmp_path: Path) -> None:
    async with scheduler(tmp_path) as before, agent(before.agents_address):
        await before.load("iris")
        await before.available("iris")
    async with scheduler(tmp_path) as rig:
        stream = rig.api.SubscribeControlPlane(pb.ControlPlaneSubscriptionRequest())
        assert (await stream.read()).event == pb.ControlPlaneResponse.SEND_SERVERS
        second = asyncio.ensure_future(stream.read())
        assert not rig.core.opened.is_set()
        await rig.api.LoadModel(load_request("wine"))  # nothing is decided: accepted
        assert not second.done()
        async with agent(rig.agents_address, session="two", holds=(held("iris"),)) as peer:
            assert (await asyncio.wait_for(second, PATIENCE)).event == pb.ControlPlaneResponse.SEND_EXPERIMENTS
            await rig.available("iris")
            await rig.available("wine")
            assert peer.told() == ["LOAD wine_1"]
        stream.cancel()


@pytest.mark.parametrize(
    ("rpc", "request_message"),
    [
        ("LoadPipeline", pb.LoadPipelineRequest()),
        ("UnloadPipeline", pb.UnloadPipelineRequest()),
        ("StartExperiment", pb.StartExperimentRequest()),
        ("StopExperiment", pb.StopExperimentRequest()),
    ],
)
async def test_changing_what_is_not_built_answers_unimplemented(rig: Rig, rpc: str, request_message: Any) -> None:
    code, said = await refused(getattr(rig.api, rpc)(request_message))
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert said == f"Scheduler.{rpc} is not supported by this version of Modelyard"


@pytest.mark.parametrize(
    ("rpc", "request_message"),
    [
        ("PipelineStatus", pb.PipelineStatusRequest()),
        ("ExperimentStatus", pb.ExperimentStatusRequest()),
    ],
)
async def test_asking_for_what_is_not_built_finds_nothing(rig: Rig, rpc: str, request_message: Any) -> None:
    assert await drained(getattr(rig.api, rpc)(request_message, timeout=PATIENCE)) == []


@pytest.mark.parametrize(
    ("rpc", "request_message"),
    [
        ("SubscribePipelineStatus", pb.PipelineSubscriptionRequest()),
        ("SubscribeExperimentStatus", pb.ExperimentSubscriptionRequest()),
    ],
)
async def test_subscribing_to_what_is_not_built_stays_open_and_silent(rig: Rig, rpc: str, request_message: Any) -> None:
    stream = getattr(rig.api, rpc)(request_message)
    reading = asyncio.ensure_future(stream.read())
    # Long enough for an answer to come, as others do meanwhile.
    for _ in range(20):
        await rig.api.SchedulerStatus(pb.SchedulerStatusRequest())
    assert not reading.done()
    stream.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_version_that_fails_is_said_to_have_failed(rig: Rig) -> None:
    async with agent(rig.agents_address, obliging=False) as peer:
        await rig.available_server()
        await rig.load("iris")
        stream = rig.api.SubscribeModelStatus(pb.ModelSubscriptionRequest())
        await peer.say(ModelEventKind.LOAD_FAILED, version("iris"), "no such file")
        it = await until_read(stream, lambda it: it.versions[0].state.state == pb.ModelStatus.ModelFailed)
        assert "no such file" in it.versions[0].state.reason
        assert it.versions[0].modelReplicaState[0].state == pb.ModelReplicaStatus.LoadFailed
        stream.cancel()
