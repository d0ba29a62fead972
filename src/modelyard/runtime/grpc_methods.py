"""`inference.GRPCInferenceService`, whichever transport a call comes by.

`sent` is the metadata of the call: lower-case names, the last of equal ones. A method raises `ModelyardError`s of
which `refusal` makes the status.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

from modelyard.kit.errors import ModelyardError
from modelyard.runtime.errors import NotLoaded, NotLoadedNow, headers_of
from modelyard.runtime.identity import Identity
from modelyard.runtime.inference import Inference
from modelyard.runtime.repository import Repository
from modelyard.wire.oip import grpc, metadata
from modelyard.wire.oip.headers import INTERNAL_MODEL, REQUEST_ID, STREAM_FORM
from modelyard.wire.oip.nouns import InferResponse

log = logging.getLogger(__name__)

TRITON = "triton"  # a form of streams

Sent: TypeAlias = Mapping[str, str]
StreamMessage: TypeAlias = grpc.InferResponseMessage | grpc.TritonStreamMessage
OnMessage: TypeAlias = Callable[[grpc.InferResponseMessage | Exception], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call ends that failed. `trailers` go with the status."""

    error: ModelyardError
    trailers: Mapping[str, str]


class GrpcMethods:
    """`ask`, `infer` and `stream` infer; each other RPC of `UNARY` is a method of its name."""

    UNARY = (
        "ServerLive",
        "ServerReady",
        "ServerMetadata",
        "ModelReady",
        "ModelMetadata",
        "RepositoryIndex",
        "RepositoryModelLoad",
        "RepositoryModelUnload",
    )

    def __init__(self, repository: Repository, inference: Inference, identity: Identity) -> None:
        self._repository = repository
        self._inference = inference
        self._identity = identity
        self.ready = True

    def ask(self, message: grpc.InferRequestMessage, sent: Sent, on_answer: OnMessage) -> Callable[[], None]:
        """`on_answer` gets the message that answers, or what it failed by, once, as `Inference.ask` says.

        Returns what cancels it; raises as `Inference.ask` does.
        """
        name = served_name(message.model_name, sent)
        self._repository.get(name, message.model_version)  # not loaded comes before whatever else may be wrong
        request = grpc.decode_request(message)
        binary = request.binary

        def on_response(found: InferResponse | Exception) -> None:
            try:
                answer = found if isinstance(found, Exception) else grpc.encode_response(found, raw_contents=binary)
            except Exception as error:
                answer = error
            on_answer(answer)

        return self._inference.ask(name, request.version, request, on_response).cancel

    async def infer(self, message: grpc.InferRequestMessage, sent: Sent) -> grpc.InferResponseMessage:
        name = served_name(message.model_name, sent)
        self._repository.get(name, message.model_version)
        request = grpc.decode_request(message)
        answer = self._inference.infer(name, request.version, request)
        response = answer if isinstance(answer, InferResponse) else await answer
        return grpc.encode_response(response, raw_contents=request.binary)

    async def stream(
        self, messages: AsyncIterator[grpc.InferRequestMessage], sent: Sent
    ) -> AsyncGenerator[StreamMessage, None]:
        """The answers to each request, in order: one, unless the model streams. The first failure ends it.

        In Triton's form a failure is an answer, and the stream goes on; not so where another replica may be asked.
        """
        as_triton = sent.get(STREAM_FORM) == TRITON
        async for message in messages:
            try:
                async with aclosing(self._answers(message, sent)) as answers:
                    async for answer in answers:
                        yield grpc.triton_answer(answer) if as_triton else answer
            except NotLoaded:
                raise
            except Exception as error:
                if not as_triton:
                    raise
                yield grpc.triton_failure(str(refusal(error, sent).error), message.id)

    async def _answers(
        self, message: grpc.InferRequestMessage, sent: Sent
    ) -> AsyncGenerator[grpc.InferResponseMessage, None]:
        name = served_name(message.model_name, sent)
        self._repository.get(name, message.model_version)
        request = grpc.decode_request(message)
        async with aclosing(self._inference.stream(name, request.version, request)) as answers:
            async for answer in answers:
                yield grpc.encode_response(answer, raw_contents=request.binary)

    async def ServerLive(self, _request: Any, _sent: Sent) -> metadata.ServerLiveResponse:
        return metadata.ServerLiveResponse(live=True)

    async def ServerReady(self, _request: Any, _sent: Sent) -> metadata.ServerReadyResponse:
        return metadata.ServerReadyResponse(ready=self.ready)

    async def ServerMetadata(self, _request: Any, _sent: Sent) -> metadata.ServerMetadataResponse:
        return metadata.server_to_message(self._identity.metadata())

    async def ModelReady(self, request: Any, sent: Sent) -> metadata.ModelReadyResponse:
        self._repository.get(served_name(request.name, sent), request.version)
        return metadata.ModelReadyResponse(ready=True)

    async def ModelMetadata(self, request: Any, sent: Sent) -> metadata.ModelMetadataResponse:
        return metadata.model_to_message(self._inference.metadata(served_name(request.name, sent), request.version))

    async def RepositoryIndex(self, request: Any, _sent: Sent) -> metadata.RepositoryIndexResponse:
        return metadata.index_to_message(self._repository.index(ready_only=request.ready))

    async def RepositoryModelLoad(self, request: Any, _sent: Sent) -> metadata.RepositoryModelLoadResponse:
        await self._repository.load(request.model_name)
        return metadata.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(self, request: Any, _sent: Sent) -> metadata.RepositoryModelUnloadResponse:
        await self._repository.unload(request.model_name)
        return metadata.RepositoryModelUnloadResponse()


def served_name(name: str, sent: Sent) -> str:
    """The gateway's header overrides the name in the message; of several values the last."""
    internal = sent.get(INTERNAL_MODEL)
    return internal.rpartition(",")[2].strip() if internal else name


def echoed(sent: Sent) -> dict[str, str]:
    """What goes back as it came."""
    return {REQUEST_ID: sent[REQUEST_ID]} if REQUEST_ID in sent else {}


def refusal(error: Exception, sent: Sent) -> Refusal:
    """The end of a call that failed; a fault of ours is logged."""
    trailers = echoed(sent)
    if isinstance(error, ModelyardError):
        trailers |= headers_of(error)
    if isinstance(error, NotLoaded):
        return Refusal(NotLoadedNow(str(error)) if INTERNAL_MODEL in sent else error, trailers)
    if isinstance(error, ModelyardError):
        return Refusal(error, trailers)
    log.error("a call failed by a fault of the server", exc_info=error)
    return Refusal(ModelyardError("the server failed; its log says more"), trailers)
