"""Real small inference servers for proxy tests: they answer with what reached them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from modelyard.proxy.desired import Endpoint

SERVICE = "inference.GRPCInferenceService"


@dataclass
class Upstream:
    """One replica. `behaviour` says what happens to a request that has arrived."""

    name: str
    behaviour: str = "echo"  # echo, not-loaded, error, busy, reset, hold
    requests: list[dict[str, Any]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    http_port: int = 0
    grpc_port: int = 0
    offers: bool = False  # gRPC over HTTP/1.1, and a unix socket where `socket` says so
    socket: str = ""
    machine: str = ""
    _local: asyncio.Server | None = None
    _http: asyncio.Server | None = None
    _grpc: grpc.aio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.http_port, self.grpc_port, self.offers, self.socket, self.machine)

    @property
    def plain(self) -> Endpoint:
        """Without what it offers."""
        return Endpoint("127.0.0.1", self.http_port, self.grpc_port)

    async def listen_locally(self, path: str, machine: str) -> None:
        self.offers, self.socket, self.machine = True, path, machine
        self._local = await asyncio.start_unix_server(self._connection, path)

    async def start(self) -> "Upstream":
        self._http = await asyncio.start_server(self._connection, "127.0.0.1", self.http_port)
        self.http_port = self._http.sockets[0].getsockname()[1]
        self._grpc = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        methods = {
            "ModelInfer": grpc.unary_unary_rpc_method_handler(self._model_infer),
            "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(self._model_stream_infer),
        }
        self._grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, methods)])
        self.grpc_port = self._grpc.add_insecure_port(f"127.0.0.1:{self.grpc_port}")
        await self._grpc.start()
        return self

    async def stop(self) -> None:
        if self._local is not None:
            self._local.close()
            self._local = None
            Path(self.socket).unlink(missing_ok=True)
        if self._http is not None:
            self._http.close()
            for writer in list(self._writers):
                writer.close()
            await self._http.wait_closed()
            self._http = None
        if self._grpc is not None:
            await self._grpc.stop(None)
            self._grpc = None

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers: dict[str, str] = {}
        for line in filter(None, head[1:]):
            key, _, value = line.partition(": ")
            headers[key.lower()] = f"{headers[key.lower()]},{value}" if key.lower() in headers else value
        body = await _body(reader, headers)
        seen = {"server": self.name, "method": method, "path": path, "headers": headers, "bytes": len(body)}
        self.requests.append(seen)
        self.arrived.set()
        seen["by_socket"] = isinstance(writer.get_extra_info("sockname"), str)
        extra, status = "", "200 OK"
        if headers.get("content-type") == "application/grpc":
            await self._grpc_over_http1(headers, writer)
            return True
        match self.behaviour:
            case "not-loaded":
                status, extra = "404 Not Found", "x-modelyard-not-loaded: true\r\n"
            case "error":
                status = "503 Service Unavailable"
            case "busy":
                status, extra = "429 Too Many Requests", "retry-after: 1\r\n"
            case "reset":
                return False
            case "hold":
                await self.released.wait()
        answer = json.dumps(seen).encode()
        writer.write(f"HTTP/1.1 {status}\r\n{extra}content-length: {len(answer)}\r\n\r\n".encode() + answer)
        await writer.drain()
        return True

    async def _grpc_over_http1(self, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if self.behaviour == "hold":
            await self.released.wait()
        head = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n"
        if self.behaviour == "not-loaded":
            marked = "grpc-status: 5\r\ngrpc-message: not loaded\r\nx-modelyard-not-loaded: true\r\ncontent-length: 0"
            writer.write(f"{head}{marked}\r\n\r\n".encode())
            return
        answer = f"{headers['seldon-internal-model']}@{self.name}".encode()
        framed = b"\0" + len(answer).to_bytes(4) + answer
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n{len(framed):x}\r\n".encode() + framed)
        writer.write(b"\r\n0\r\ngrpc-status: 0\r\n\r\n")

    async def _model_infer(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        headers = dict(context.invocation_metadata() or ())
        self.requests.append({"server": self.name, "headers": headers, "bytes": len(request)})
        self.arrived.set()
        match self.behaviour:
            case "not-loaded":
                await context.send_initial_metadata((("x-modelyard-not-loaded", "true"),))
                await context.abort(grpc.StatusCode.NOT_FOUND, "not loaded here")
            case "error":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "failed while at work")
            case "busy":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many wait")
            case "hold":
                await self.released.wait()
        return str(headers["seldon-internal-model"]).encode() + b"@" + self.name.encode()

    async def _model_stream_infer(self, requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield self.name.encode() + b":" + request


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body
