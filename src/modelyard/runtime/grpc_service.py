"""`inference.GRPCInferenceService` on grpc.aio, for clients that speak HTTP/2 to the runtime itself."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from modelyard.runtime.grpc_methods import GrpcMethods, Sent, StreamMessage, echoed, refusal
from modelyard.wire.oip import grpc


class GrpcInferenceService:
    """One method per RPC; `context` is the `ServicerContext` of grpc.aio.

    A refusal sends no initial metadata, so that it is one frame of trailers only, which a proxy sees as response
    headers.
    """

    def __init__(self, methods: GrpcMethods) -> None:
        self._methods = methods
        for name in GrpcMethods.UNARY:
            setattr(self, name, partial(self._unary, getattr(methods, name)))

    async def _unary(self, method: Any, request: Any, context: Any) -> Any:
        sent = _sent(context)
        try:
            return await method(request, sent)
        except Exception as error:
            raise _refused(error, sent, context) from error

    async def ModelInfer(self, request: grpc.InferRequestMessage, context: Any) -> grpc.InferResponseMessage:
        sent = _sent(context)
        try:
            response = await self._methods.infer(request, sent)
        except Exception as error:
            raise _refused(error, sent, context) from error
        await _echo(sent, context)
        return response

    async def ModelStreamInfer(
        self, requests: AsyncIterator[grpc.InferRequestMessage], context: Any
    ) -> AsyncIterator[StreamMessage]:
        sent = _sent(context)
        begun = False
        try:
            async with aclosing(self._methods.stream(requests, sent)) as answers:
                async for answer in answers:
                    if not begun:
                        begun = True
                        await _echo(sent, context)
                    yield answer
        except Exception as error:
            raise _refused(error, sent, context) from error


def _sent(context: Any) -> Sent:
    return {str(key): str(value) for key, value in context.invocation_metadata() or ()}


async def _echo(sent: Sent, context: Any) -> None:
    if back := echoed(sent):
        await context.send_initial_metadata(tuple(back.items()))


def _refused(error: Exception, sent: Sent, context: Any) -> Exception:
    found = refusal(error, sent)
    context.set_trailing_metadata(tuple(found.trailers.items()))
    return found.error
