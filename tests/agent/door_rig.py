"""A front door for tests: the agent's side, a real Envoy in a process of its own, and a server behind it."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import httpx

from modelyard.agent import door_files
from modelyard.agent.front_door import FrontDoor, no_activation
from modelyard.kit import clock
from modelyard.proxy.desired import Endpoint
from modelyard.wire import service
from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from tests.agent.named_server import LIMITS, NamedServer
from tests.agent.peers import DEADLINE_SECONDS, Process, free_port

HEADER = "seldon-internal-model"


@dataclass
class DoorRig:
    folder: Path
    activate: Callable[[str], Awaitable[str | None]] = no_activation
    finish_seconds: float = 60.0
    server: NamedServer = field(default_factory=lambda: NamedServer("server"))
    http_port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)

    async def start(self) -> "DoorRig":
        await self.server.start()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.http_port}", timeout=DEADLINE_SECONDS)
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.grpc_port}", options=LIMITS)
        self.stub = service.Stub(self.channel, service.INFERENCE)
        await self.start_agent()
        await self.start_door()
        return self

    async def start_agent(self) -> None:
        where = door_files.sockets(self.folder)
        own = Endpoint("127.0.0.1", self.http_port, self.grpc_port)
        self.door = FrontDoor(
            where, own, self.server.endpoint, finish_seconds=self.finish_seconds, activate=self.activate
        )
        await self.door.start()

    async def start_door(self) -> None:
        self.process = await Process(
            "modelyard.run.front_door",
            *("--http", f"127.0.0.1:{self.http_port}", "--grpc", f"127.0.0.1:{self.grpc_port}"),
            *("--agent-folder", self.folder, "--id", "door of test"),
            log=self.folder / "door.log",
        ).start()

    async def opened(self, *models: str) -> "DoorRig":
        """The server holds these, and the agent has found them there."""
        self.server.models |= set(models)
        await self.door.found(frozenset(self.server.models), clock.now())
        return self

    async def stop(self) -> None:
        self.server.released.set()
        await self.http.aclose()
        await self.channel.close()
        if self.process.process is not None and self.process.process.returncode is None:
            await self.process.end(signal.SIGKILL)
        await self.door.stop()
        await self.server.stop()

    # -- requests

    async def infer(self, path: str, model: str | None = None, **more: str) -> httpx.Response:
        headers = {key.replace("_", "-"): value for key, value in more.items()}
        return await self.http.post(path, json={}, headers=headers | ({HEADER: model} if model else {}))

    async def grpc_infer(
        self, named: str, model: str | None = None, payload: bytes = b"", **call: object
    ) -> pb.ModelInferResponse:
        request = pb.ModelInferRequest(model_name=named, raw_input_contents=[payload])
        metadata = ((HEADER, model),) if model else ()
        # The raw call: the stub turns statuses into errors of ours.
        method = self.channel.unary_unary(
            f"/{service.INFERENCE}/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        return await method(request, metadata=metadata, timeout=DEADLINE_SECONDS, **call)

    def log(self) -> str:
        return (self.folder / "door.log").read_text()


@asynccontextmanager
async def front_door(folder: Path, *models: str, **more: object) -> AsyncIterator[DoorRig]:
    rig = await DoorRig(folder, **more).start()  # type: ignore[arg-type]
    try:
        yield await rig.opened(*models)
    finally:
        await rig.stop()
