"""gRPC services from their descriptors: server handlers and client stubs, without generated stub code.

An implementation is an object with one async method per RPC, named as the RPC and called with (request, context);
a streaming reply is an async generator. A `ModelyardError` it raises becomes a gRPC status with its sentence, and on
the client's side such a status becomes the same `ModelyardError` again.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError

from modelyard.kit import errors

# Importing the modules is what puts the services into the pool.
from modelyard.wire._pb2.inference import grpc_service_pb2
from modelyard.wire._pb2.modelyard.v1 import agent_pb2 as modelyard_agent_pb2
from modelyard.wire._pb2.modelyard.v1 import control_pb2
from modelyard.wire._pb2.pool import POOL
from modelyard.wire._pb2.seldon.mlops.agent import agent_pb2
from modelyard.wire._pb2.seldon.mlops.agent_debug import agent_debug_pb2
from modelyard.wire._pb2.seldon.mlops.chainer import chainer_pb2
from modelyard.wire._pb2.seldon.mlops.health import health_pb2
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2

FILES = (
    agent_debug_pb2,
    agent_pb2,
    chainer_pb2,
    control_pb2,
    grpc_service_pb2,
    health_pb2,
    modelyard_agent_pb2,
    scheduler_pb2,
)

SCHEDULER = "seldon.mlops.scheduler.Scheduler"
AGENT = "seldon.mlops.agent.AgentService"
AGENT_DEBUG = "seldon.mlops.agent_debug.AgentDebugService"
AGENT_REPORTS = "modelyard.v1.AgentReports"
CHAINER = "seldon.mlops.chainer.Chainer"
CONTROL = "modelyard.v1.Control"
HEALTH = "seldon.mlops.health.HealthCheckService"
INFERENCE = "inference.GRPCInferenceService"

MAX_MESSAGE_BYTES = 1 << 30

log = logging.getLogger(__name__)


def _methods(service: str) -> Mapping[str, MethodDescriptor]:
    found: Mapping[str, MethodDescriptor] = POOL.FindServiceByName(service).methods_by_name
    return found


def _request_class(method: MethodDescriptor) -> Any:
    return message_factory.GetMessageClass(method.input_type)


def _response_class(method: MethodDescriptor) -> Any:
    return message_factory.GetMessageClass(method.output_type)


def _encode(message: Any) -> bytes:
    """Whatever message it is: a stream may be answered in another form than the contract's."""
    content: bytes = message.SerializeToString()
    return content


@dataclass(frozen=True, slots=True)
class Codec:
    """One RPC's messages as bytes; `decode` raises `InvalidInput`."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def codecs(service: str) -> Mapping[str, Codec]:
    """By the names of the RPCs, for who has a transport of its own."""
    return {name: _codec(method) for name, method in _methods(service).items()}


def _codec(method: MethodDescriptor) -> Codec:
    kind = method.input_type.name
    parse = _request_class(method).FromString

    def decode(content: bytes) -> Any:
        try:
            return parse(content)
        except DecodeError:
            raise errors.InvalidInput(f"the message is no {kind}") from None

    return Codec(decode, _encode)


def handler(service: str, implementation: object) -> grpc.GenericRpcHandler:
    """Serve `service` by `implementation`; an RPC it has no method for answers UNIMPLEMENTED."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for name, method in _methods(service).items():
        behaviour = getattr(implementation, name, None)
        if behaviour is None:
            behaviour = _unimplemented(service, name, streaming=method.server_streaming)
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        guard = _guard_stream if method.server_streaming else _guard_unary
        handlers[name] = make(
            guard(behaviour),
            request_deserializer=_request_class(method).FromString,
            response_serializer=_encode,
        )
    return grpc.method_handlers_generic_handler(service, handlers)


def _unimplemented(service: str, name: str, *, streaming: bool) -> Callable[[Any, Any], Any]:
    sentence = f"{service.rsplit('.', 1)[-1]}.{name} is not supported by this version of Modelyard"

    async def unary(_request: Any, _context: Any) -> Any:
        raise errors.NotSupported(sentence)

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        yield await unary(request, context)

    return stream if streaming else unary


def _guard_unary(behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await behaviour(request, context)
        except errors.ModelyardError as error:
            await context.abort(status_code(error), str(error))

    return call


def _guard_stream(
    behaviour: Callable[[Any, Any], AsyncIterator[Any]],
) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            async for response in behaviour(request, context):
                yield response
        except errors.ModelyardError as error:
            await context.abort(status_code(error), str(error))

    return call


def status_code(error: errors.ModelyardError) -> grpc.StatusCode:
    return grpc.StatusCode[error.grpc_status]


def from_rpc_error(error: grpc.aio.AioRpcError, peer: str) -> errors.ModelyardError:
    """The error that a failed call means to the caller; `peer` says who did not answer."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE and ("connect" in details.lower() or not details):
        return errors.Unavailable(f"cannot reach {peer}: {details or 'no answer'}")
    kind = errors.for_grpc_status(code.name)
    if kind is errors.ModelyardError:
        return kind(f"{peer} answered {code.name}: {details}")
    return kind(details or f"{peer} answered {code.name}")


class Stub:
    """A client of one service: `await stub.LoadModel(request)`; a streaming reply is iterated with `async for`.

    The methods are the multi-callables of grpc.aio, so `timeout=` and `metadata=` work as usual.
    """

    def __init__(self, channel: grpc.aio.Channel, service: str) -> None:
        for name, method in _methods(service).items():
            make = {
                (False, False): channel.unary_unary,
                (False, True): channel.unary_stream,
                (True, False): channel.stream_unary,
                (True, True): channel.stream_stream,
            }[method.client_streaming, method.server_streaming]
            call: Any = make(
                f"/{service}/{name}",
                request_serializer=_request_class(method).SerializeToString,
                response_deserializer=_response_class(method).FromString,
            )
            setattr(self, name, call)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no RPC named {name}")
