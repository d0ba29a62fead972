"""An inference server that knows models by the names in paths and messages only, as MLServer and Triton do."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from modelyard.proxy.desired import Endpoint
from modelyard.wire import service
from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from tests.proxy.upstreams import Upstream

LIMITS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


@dataclass
class NamedServer(Upstream):
    """`held`: models whose requests wait until `released` is set. `acts`: what it was told and asked, in order."""

    models: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    acts: list[str] = field(default_factory=list)

    async def start(self) -> "NamedServer":
        self._http = await asyncio.start_server(self._connection, "127.0.0.1", self.http_port)
        self.http_port = self._http.sockets[0].getsockname()[1]
        self._grpc = grpc.aio.server(options=LIMITS)
        self._grpc.add_generic_rpc_handlers([service.handler(service.INFERENCE, self)])
        self.grpc_port = self._grpc.add_insecure_port(f"127.0.0.1:{self.grpc_port}")
        await self._grpc.start()
        return self

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.http_port, self.grpc_port)

    def asked(self) -> int:
        """How many requests for models arrived."""
        return sum(act.startswith("infer ") for act in self.acts)

    async def _infer(self, model: str) -> bool:
        self.acts.append(f"infer {model}")
        self.arrived.set()
        if model in self.held:
            await self.released.wait()
        return model in self.models

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        _, path, _ = head[0].split(" ")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        size = int(headers.get("content-length", "0"))
        await reader.readexactly(size)
        status, answer = 200, {"path": path, "bytes": size, "headers": headers}
        match path.partition("?")[0].strip("/").split("/"):
            case ["v2", "repository", "index"]:
                answer = [{"name": name, "state": "READY"} for name in sorted(self.models)]  # type: ignore[assignment]
            case ["v2", "repository", "models", name, "load"]:
                self.models.add(name)
                self.acts.append(f"load {name}")
            case ["v2", "repository", "models", name, "unload"]:
                self.models.discard(name)
                self.acts.append(f"unload {name}")
            case ["v2", "models", name, *what]:
                answer["model_name"] = name
                if not (name in self.models if what[-1:] == ["ready"] else await self._infer(name)):
                    status, answer = 400, {"error": f"unknown model {name}"}
        body = json.dumps(answer).encode()
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True

    # -- gRPC

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        if not await self._infer(request.model_name):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unknown model {request.model_name!r}")
        return _answer(request)

    async def ModelStreamInfer(
        self, requests: AsyncIterator[pb.ModelInferRequest], _context: Any
    ) -> AsyncIterator[pb.ModelInferResponse]:
        async for request in requests:
            await self._infer(request.model_name)
            yield _answer(request)

    async def ModelReady(self, request: pb.ModelReadyRequest, _context: Any) -> pb.ModelReadyResponse:
        return pb.ModelReadyResponse(ready=request.name in self.models)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, _context: Any) -> pb.ModelMetadataResponse:
        return pb.ModelMetadataResponse(name=request.name)

    async def ServerReady(self, _request: pb.ServerReadyRequest, _context: Any) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=True)

    async def RepositoryIndex(self, _request: Any, _context: Any) -> pb.RepositoryIndexResponse:
        self.acts.append("index over gRPC")
        return pb.RepositoryIndexResponse()

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, _context: Any
    ) -> pb.RepositoryModelLoadResponse:
        self.models.add(request.model_name)
        self.acts.append(f"load {request.model_name}")
        return pb.RepositoryModelLoadResponse()


def _answer(request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    size = sum(map(len, request.raw_input_contents))
    return pb.ModelInferResponse(model_name=request.model_name, id=f"{request.id}:{size}")
