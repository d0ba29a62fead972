"""Handlers and stubs over a real loopback connection: errors there and back, all four shapes of RPC."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from modelyard.kit import errors
from modelyard.wire import agents, grpc_server, service
from modelyard.wire._pb2.inference import grpc_service_pb2 as oip
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb


class Server:
    """One RPC of each shape, and one that fails as it is told to."""

    def __init__(self) -> None:
        self.error: Exception = errors.Refused("no")
        self.cancelled = asyncio.Event()

    async def LoadModel(self, _request: pb.LoadModelRequest, _context: Any) -> pb.LoadModelResponse:
        raise self.error

    async def SchedulerStatus(self, request: pb.SchedulerStatusRequest, _context: Any) -> pb.SchedulerStatusResponse:
        return pb.SchedulerStatusResponse(applicationVersion=request.subscriberName)

    async def ModelStatus(self, request: pb.ModelStatusRequest, _context: Any) -> AsyncIterator[pb.ModelStatusResponse]:
        for name in ("iris", "wine"):
            yield pb.ModelStatusResponse(modelName=name)
        if request.allVersions:
            raise self.error

    async def SubscribeModelStatus(self, _request: Any, _context: Any) -> AsyncIterator[pb.ModelStatusResponse]:
        try:
            yield pb.ModelStatusResponse(modelName="iris")
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


class Agents:
    async def ModelScalingTrigger(self, requests: AsyncIterator[Any], _context: Any) -> agents.ScalingTriggerResponse:
        self.count = len([it async for it in requests])
        return agents.ScalingTriggerResponse()


class Inference:
    async def ModelStreamInfer(self, requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield oip.ModelInferResponse(id=request.id)


@pytest.fixture
async def parts() -> AsyncIterator[tuple[Server, Agents, grpc.aio.Channel]]:
    here, there = Server(), Agents()
    everything = {service.SCHEDULER: here, service.AGENT: there, service.INFERENCE: Inference()}
    server, port = await grpc_server.start("127.0.0.1:0", everything)
    async with grpc_server.channel(f"127.0.0.1:{port}") as channel:
        yield here, there, channel
    await server.stop(None)


Parts = tuple[Server, Agents, grpc.aio.Channel]


@pytest.mark.parametrize(
    "kind",
    [errors.InvalidInput, errors.NotFound, errors.Refused, errors.Unavailable, errors.TimedOut, errors.NotSupported],
)
async def test_an_error_is_the_same_on_the_other_side(parts: Parts, kind: type[errors.ModelyardError]) -> None:
    here, _, channel = parts
    here.error = kind("a sentence, with ünïcode")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.Stub(channel, service.SCHEDULER).LoadModel(pb.LoadModelRequest())
    assert caught.value.code().name == kind.grpc_status
    error = service.from_rpc_error(caught.value, "the scheduler")
    assert type(error) is kind
    assert str(error) == "a sentence, with ünïcode"


async def test_an_error_in_the_middle_of_a_stream_comes_after_what_was_sent(parts: Parts) -> None:
    here, _, channel = parts
    here.error = errors.NotFound("no model is named 'x'")
    call = service.Stub(channel, service.SCHEDULER).ModelStatus(pb.ModelStatusRequest(allVersions=True))
    assert [(await call.read()).modelName for _ in range(2)] == ["iris", "wine"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "request_message"),
    [("LoadPipeline", pb.LoadPipelineRequest()), ("StartExperiment", pb.StartExperimentRequest())],
)
async def test_what_is_not_built_answers_unimplemented_in_a_sentence(
    parts: Parts, name: str, request_message: Any
) -> None:
    _, _, channel = parts
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(service.Stub(channel, service.SCHEDULER), name)(request_message)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == f"Scheduler.{name} is not supported by this version of Modelyard"


async def test_a_stream_that_is_not_built_answers_unimplemented_too(parts: Parts) -> None:
    _, _, channel = parts
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in service.Stub(channel, service.SCHEDULER).ServerStatus(pb.ServerStatusRequest()):
            pass
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_one_request_one_answer(parts: Parts) -> None:
    _, _, channel = parts
    answer = await service.Stub(channel, service.SCHEDULER).SchedulerStatus(
        pb.SchedulerStatusRequest(subscriberName="me"), timeout=10
    )
    assert answer.applicationVersion == "me"


async def test_many_requests_one_answer(parts: Parts) -> None:
    _, there, channel = parts
    requests = iter([agents.ScalingTriggerMessage(amount=n) for n in range(3)])
    await service.Stub(channel, service.AGENT).ModelScalingTrigger(requests)
    assert there.count == 3


async def test_many_requests_each_with_its_answer(parts: Parts) -> None:
    _, _, channel = parts
    call = service.Stub(channel, service.INFERENCE).ModelStreamInfer()
    for id in ("a", "b"):
        await call.write(oip.ModelInferRequest(id=id))
        assert (await call.read()).id == id
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.OK


async def test_a_client_that_goes_away_ends_the_stream_behind_it(parts: Parts) -> None:
    here, _, channel = parts
    call = service.Stub(channel, service.SCHEDULER).SubscribeModelStatus(pb.ModelSubscriptionRequest())
    await call.read()
    call.cancel()
    await asyncio.wait_for(here.cancelled.wait(), 10)


async def test_nobody_there_is_unavailable_and_names_the_peer() -> None:
    async with grpc_server.channel("127.0.0.1:1") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.Stub(channel, service.SCHEDULER).SchedulerStatus(pb.SchedulerStatusRequest())
    error = service.from_rpc_error(caught.value, "the scheduler at 127.0.0.1:1")
    assert isinstance(error, errors.Unavailable)
    assert str(error).startswith("cannot reach the scheduler at 127.0.0.1:1")


async def test_a_stub_has_only_the_rpcs_of_its_service() -> None:
    async with grpc_server.channel("127.0.0.1:1") as channel:
        with pytest.raises(AttributeError, match="no RPC named LoadModels"):
            _ = service.Stub(channel, service.SCHEDULER).LoadModels
