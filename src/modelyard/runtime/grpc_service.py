"""`inference.GRPCInferenceService`: the same models over gRPC."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from modelyard.kit.errors import ModelyardError
from modelyard.runtime.errors import NotLoaded, NotLoadedNow, headers_of
from modelyard.runtime.identity import Identity
from modelyard.runtime.inference import Inference
from modelyard.runtime.repository import Repository
from modelyard.wire.oip import grpc, metadata
from modelyard.wire.oip.headers import INTERNAL_MODEL, REQUEST_ID
from modelyard.wire.oip.nouns import InferResponse

log = logging.getLogger(__name__)


class GrpcInferenceService:
    """One method per RPC; `context` is the `ServicerContext` of grpc.aio."""

    def __init__(self, repository: Repository, inference: Inference, identity: Identity) -> None:
        self._repository = repository
        self._inference = inference
        self._identity = identity
        self.ready = True

    async def ServerLive(self, _request: Any, _context: Any) -> metadata.ServerLiveResponse:
        return metadata.ServerLiveResponse(live=True)

    async def ServerReady(self, _request: Any, _context: Any) -> metadata.ServerReadyResponse:
        return metadata.ServerReadyResponse(ready=self.ready)

    async def ServerMetadata(self, _request: Any, _context: Any) -> metadata.ServerMetadataResponse:
        return metadata.server_to_message(self._identity.metadata())

    async def ModelReady(self, request: Any, context: Any) -> metadata.ModelReadyResponse:
        with _Reply(context) as reply:
            self._repository.get(reply.served_name(request.name), request.version)
            return metadata.ModelReadyResponse(ready=True)

    async def ModelMetadata(self, request: Any, context: Any) -> metadata.ModelMetadataResponse:
        with _Reply(context) as reply:
            found = self._inference.metadata(reply.served_name(request.name), request.version)
            return metadata.model_to_message(found)

    async def ModelInfer(self, request: grpc.InferRequestMessage, context: Any) -> grpc.InferResponseMessage:
        with _Reply(context) as reply:
            response = await self._infer(request, reply.served_name(request.model_name))
            await reply.echo_request_id()
            return response

    async def ModelStreamInfer(
        self, requests: AsyncIterator[grpc.InferRequestMessage], context: Any
    ) -> AsyncIterator[grpc.InferResponseMessage]:
        """The answers to each request, in order: one, unless the model streams. The first failure ends the stream."""
        with _Reply(context) as reply:
            async for message in requests:
                name = reply.served_name(message.model_name)
                self._repository.get(name, message.model_version)
                request = grpc.decode_request(message)
                async with aclosing(self._inference.stream(name, request.version, request)) as answers:
                    async for answer in answers:
                        await reply.echo_request_id()
                        yield grpc.encode_response(answer, raw_contents=request.binary)

    async def RepositoryIndex(self, request: Any, _context: Any) -> metadata.RepositoryIndexResponse:
        return metadata.index_to_message(self._repository.index(ready_only=request.ready))

    async def RepositoryModelLoad(self, request: Any, context: Any) -> metadata.RepositoryModelLoadResponse:
        with _Reply(context):
            await self._repository.load(request.model_name)
            return metadata.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(self, request: Any, context: Any) -> metadata.RepositoryModelUnloadResponse:
        with _Reply(context):
            await self._repository.unload(request.model_name)
            return metadata.RepositoryModelUnloadResponse()

    async def _infer(self, message: grpc.InferRequestMessage, name: str) -> grpc.InferResponseMessage:
        self._repository.get(name, message.model_version)  # not loaded comes before whatever else may be wrong
        request = grpc.decode_request(message)
        answer = self._inference.infer(name, request.version, request)
        response = answer if isinstance(answer, InferResponse) else await answer
        return grpc.encode_response(response, raw_contents=request.binary)


class _Reply:
    """The metadata of one call. A refusal sends no initial metadata, so that it is one frame of trailers only, which
    a proxy sees as response headers."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._sent: dict[str, str] = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        self._echoed = False

    def served_name(self, name: str) -> str:
        internal = self._sent.get(INTERNAL_MODEL)
        return internal.rpartition(",")[2].strip() if internal else name

    async def echo_request_id(self) -> None:
        if REQUEST_ID in self._sent and not self._echoed:
            self._echoed = True
            await self._context.send_initial_metadata(((REQUEST_ID, self._sent[REQUEST_ID]),))

    def __enter__(self) -> "_Reply":
        return self

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> None:
        if not isinstance(error, Exception):
            return
        trailers = [(REQUEST_ID, self._sent[REQUEST_ID])] if REQUEST_ID in self._sent else []
        if isinstance(error, ModelyardError):
            trailers.extend(headers_of(error).items())
        self._context.set_trailing_metadata(tuple(trailers))
        if isinstance(error, NotLoaded) and INTERNAL_MODEL in self._sent:
            raise NotLoadedNow(str(error)) from error
        if not isinstance(error, ModelyardError):
            log.error("a call failed by a fault of the server", exc_info=error)
            raise ModelyardError("the server failed; its log says more") from error
