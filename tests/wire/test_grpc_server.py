"""What every gRPC port of ours has: reflection, two kinds of health, large messages, and an error for a busy port."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from modelyard.kit.errors import Refused
from modelyard.wire import grpc_server, service
from modelyard.wire._pb2.inference import grpc_service_pb2 as oip
from modelyard.wire._pb2.seldon.mlops.health import health_pb2 as seldon_health_pb2

OURS = (service.SCHEDULER, service.AGENT, service.AGENT_DEBUG, service.CHAINER, service.CONTROL, service.AGENT_REPORTS)


class Echo:
    async def ModelInfer(self, request: Any, _context: Any) -> Any:
        return oip.ModelInferResponse(model_name=request.model_name, raw_output_contents=request.raw_input_contents)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    services = {name: object() for name in OURS} | {service.INFERENCE: Echo()}
    server, port = await grpc_server.start("127.0.0.1:0", services)
    yield f"127.0.0.1:{port}"
    await server.stop(None)


def in_thread(address: str) -> dict[str, set[str]]:
    """Each service with its methods, as a client sees them that knows none of our files."""
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        return {name: set(pool.FindServiceByName(name).methods_by_name) for name in database.get_services()}


async def test_reflection_lists_and_describes_every_service(address: str) -> None:
    described = await asyncio.to_thread(in_thread, address)
    standard = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    assert described.keys() == {*OURS, service.INFERENCE, service.HEALTH, *standard}
    assert {"LoadModel", "SubscribeControlPlane"} <= described[service.SCHEDULER]
    assert {"Subscribe", "AgentDrain", "AgentEvent", "ModelScalingTrigger"} == described[service.AGENT]
    assert {"Check", "Watch"} <= described["grpc.health.v1.Health"]


@pytest.mark.parametrize("name", ["", service.SCHEDULER, service.HEALTH])
async def test_the_standard_health_service_says_serving(address: str, name: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_standard_health_service_does_not_know_other_services(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_contract_s_health_service_says_ok(address: str) -> None:
    async with grpc_server.channel(address) as channel:
        answer = await service.Stub(channel, service.HEALTH).HealthCheck(seldon_health_pb2.HealthCheckRequest())
    assert answer.ok


async def test_a_busy_port_is_refused_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{port}: the port is busy"):
            await grpc_server.start(f"127.0.0.1:{port}", {})


async def test_a_second_server_on_the_same_port_is_refused_too(address: str) -> None:
    with pytest.raises(Refused, match="the port is busy"):
        await grpc_server.start(address, {})


async def test_a_message_of_100_mb_passes_both_ways(address: str) -> None:
    data = bytes(100_000_000)
    async with grpc_server.channel(address) as channel:
        request = oip.ModelInferRequest(model_name="big", raw_input_contents=[data])
        answer = await service.Stub(channel, service.INFERENCE).ModelInfer(request, timeout=120)
    assert answer.raw_output_contents[0] == data


def test_the_limits_are_those_of_the_reference() -> None:
    options = dict(grpc_server.SERVER_OPTIONS)
    assert options["grpc.max_receive_message_length"] == options["grpc.max_send_message_length"] == 1 << 30
    assert options["grpc.keepalive_time_ms"] == 60_000
    assert options["grpc.keepalive_permit_without_calls"] == 1
