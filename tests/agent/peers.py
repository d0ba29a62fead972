"""Real peers over loopback: a scheduler's AgentService, a V2 server, files over HTTP, and the processes under test."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx

from modelyard.domain.agent_protocol import (
    ModelEvent,
    ModelEventKind,
    ModelVersion,
    Operation,
    OperationKind,
    Subscription,
)
from modelyard.wire import agents, grpc_server, service

DEADLINE_SECONDS = 60.0


async def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something true; what it is, is what a failure says."""
    end = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < end, f"not in time: {what}"
        await asyncio.sleep(0.01)
    return found


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


@dataclass
class Scheduler:
    """An AgentService that obeys its test. `refuse` answers that many events with UNAVAILABLE first, `refuse_reports`
    that many reports. `said`: what came, in order."""

    port: int = 0
    subscriptions: list[Subscription] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    events: list[tuple[str, ModelEvent]] = field(default_factory=list)
    measures: list[Any] = field(default_factory=list)
    refuse: int = 0
    refuse_reports: int = 0
    said: list[str] = field(default_factory=list)
    orders: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    server: Any = None

    async def start(self, *, reports: bool = True) -> "Scheduler":
        services: dict[str, object] = {service.AGENT: self}
        if reports:
            services[service.AGENT_REPORTS] = self
        self.server, self.port = await grpc_server.start(f"127.0.0.1:{self.port}", services)
        return self

    async def stop(self) -> None:
        await self.server.stop(grace=None)

    async def Subscribe(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.subscriptions.append(agents.decode_subscription(request))
        self.sessions.append(dict(context.invocation_metadata())[agents.SESSION_HEADER])
        orders = self.orders = asyncio.Queue()
        while True:
            order = await orders.get()
            if isinstance(order, grpc.StatusCode):
                await context.abort(order, "another agent presented this replica")
            if order is None:
                return
            yield order if not isinstance(order, Operation) else agents.encode_operation(order)

    async def AgentEvent(self, request: Any, context: Any) -> Any:
        if self.refuse:
            self.refuse -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        event = agents.decode_event(request)
        assert event is not None
        self.said.append(event.kind.name)
        self.events.append((dict(context.invocation_metadata())[agents.SESSION_HEADER], event))
        return agents.EventResponse()

    async def Report(self, request: Any, context: Any) -> Any:
        if self.refuse_reports:
            self.refuse_reports -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        self.said.append("report")
        self.measures.append(agents.decode_measures(request))
        return agents.ReportResponse()

    def measured(self, version: str) -> int | None:
        """As reported last."""
        found = [it.measured_bytes for _, told in self.measures for it in told if str(it.version) == version]
        return found[-1] if found else None

    def noted(self, version: str) -> str | None:
        found = [it.note for _, told in self.measures for it in told if str(it.version) == version]
        return found[-1] if found else None

    def load(self, model_version: ModelVersion) -> None:
        self.orders.put_nowait(Operation(OperationKind.LOAD, model_version))

    def unload(self, model_version: ModelVersion) -> None:
        self.orders.put_nowait(Operation(OperationKind.UNLOAD, model_version))

    def heard(self) -> list[tuple[str, str]]:
        return [(event.kind.name, str(event.version)) for _, event in self.events]

    async def subscribed(self, times: int = 1) -> Subscription:
        await until(lambda: len(self.subscriptions) >= times, f"{times} subscriptions")
        return self.subscriptions[-1]

    async def hears(self, kind: ModelEventKind, model_version: ModelVersion, times: int = 1) -> ModelEvent:
        def found() -> list[ModelEvent]:
            return [e for _, e in self.events if (e.kind, e.version) == (kind, model_version.id)]

        await until(lambda: len(found()) >= times, f"{kind.name} of {model_version.id}, heard {self.heard()}")
        return found()[-1]


Answer = tuple[int, Mapping[str, str], bytes]


@contextlib.asynccontextmanager
async def http_server(answer: Callable[[str, str, bytes], Answer | Awaitable[Answer]]) -> AsyncIterator[str]:
    """A real HTTP server on a free port; yields its URL. `answer(method, path, body)`; headers may lie."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            lengths = [line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length")]
            body = await reader.readexactly(int(lengths[0])) if lengths else b""
            found = answer(method, path, body)
            status, headers, content = found if isinstance(found, tuple) else await found
            lines = {"content-length": str(len(content)), "connection": "close", **headers}
            writer.write(f"HTTP/1.1 {status} X\r\n".encode())
            writer.write("".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n" + content)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Process:
    """A part of the system as a real process."""

    def __init__(self, module: str, *arguments: object, log: Path) -> None:
        self.argv = (sys.executable, "-m", module, *map(str, arguments))
        self.log = log
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> "Process":
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(*self.argv, stdout=log, stderr=log, env=os.environ)
        return self

    async def end(self, number: int) -> int:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), DEADLINE_SECONDS)


async def index(port: int) -> set[str] | None:
    """The names loaded in a V2 server; None while it does not answer."""
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            answer = await http.post(f"http://127.0.0.1:{port}/v2/repository/index", json={"ready": True})
        except httpx.TransportError:
            return None
        return {it["name"] for it in answer.json()} if answer.status_code == 200 else None
