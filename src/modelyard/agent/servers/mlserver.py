"""MLServer. It reads `model-settings.json`, says why a load failed only over gRPC, and is mute while it loads."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import grpc
import grpc.aio
import httpx

from modelyard.agent import trees
from modelyard.agent.problems import ArtifactProblem, ServerLost, ServerRefusal
from modelyard.agent.servers import mlserver_settings as settings_file
from modelyard.agent.servers import sentences
from modelyard.agent.servers.v2 import LOOK_SECONDS, LoadAnswer, V2Server
from modelyard.agent.settings import Limits
from modelyard.domain.agent_protocol import ModelVersion
from modelyard.wire import grpc_server, service
from modelyard.wire.oip import metadata
from modelyard.wire.oip.loading import LoadOrder

# Class files are read to find one; a file of this size is not one.
MOST_SOURCE_BYTES = 1 << 20
# It listens for gRPC a little after it answers REST.
GRPC_SECONDS = 15.0


class MLServer(V2Server):
    """`workers`: in how many processes it holds each model; 0: in its own."""

    health: ClassVar[str] = "/v2/health/live"  # `ready` is false while any model loads

    def __init__(self, url: str, limits: Limits, *, grpc_address: str, workers: int = 0) -> None:
        super().__init__(url, limits)
        self._grpc_address = grpc_address
        self._workers = workers
        self._loading = 0

    def arrange(self, model_version: ModelVersion, source: Path, target: Path) -> None:
        spec = model_version.model.spec
        given = _given(source, spec.artifact.uri)
        target.mkdir()
        files = []
        for path in trees.files(source):
            inside = path.relative_to(source)
            if inside.name != settings_file.FILE:  # MLServer would take those of folders below for further models
                files.append(inside.as_posix())
                trees.link_file(path, target / inside)
        try:
            settings = settings_file.written(
                given,
                str(model_version.id),
                requirements=spec.requirements,
                parameters=spec.parameters,
                sources=_sources(source, files),
                files=files,
            )
        except ValueError as error:
            raise ArtifactProblem(f"cannot use {spec.artifact.uri}: {error}") from error
        (target / settings_file.FILE).write_text(json.dumps(settings, indent=2) + "\n")

    def copies(self, model_version: ModelVersion, source: Path) -> int | None:
        return settings_file.copies(_given(source, model_version.model.spec.artifact.uri), self._workers)

    async def _ask(self, method: str, path: str, seconds: float, body: Any = None) -> httpx.Response:
        # It loads in the thread that answers: until that is done its silence means nothing.
        patience = max(seconds, self._limits.load_seconds) if self._loading else seconds
        return await super()._ask(method, path, patience, body)

    async def load(self, name: str, order: LoadOrder) -> LoadAnswer:  # noqa: ARG002  # it stands in the settings
        began = time.monotonic()
        self._loading += 1
        try:
            await self._load(name)
        except grpc.aio.AioRpcError as error:
            raise _problem(error, self._limits.load_seconds, self.url) from error
        else:
            ready = await self._ask("GET", f"/v2/models/{name}/ready", LOOK_SECONDS)
        finally:
            self._loading -= 1
        if ready.status_code != httpx.codes.OK:
            raise ServerRefusal("the inference server loaded it, but it says that it is not ready")
        return LoadAnswer(round((time.monotonic() - began) * 1000))

    async def _load(self, name: str) -> None:
        # A channel for each load: one that was refused while the server was away goes on refusing after it is back.
        async with grpc_server.channel(self._grpc_address, alone=True) as channel:
            try:
                await asyncio.wait_for(channel.channel_ready(), GRPC_SECONDS)
            except TimeoutError as error:
                where = f"the inference server at {self._grpc_address} (gRPC)"
                raise ServerLost(f"{where} takes no connection within {GRPC_SECONDS:g} s") from error
            request = metadata.RepositoryModelLoadRequest(model_name=name)
            stub = service.Stub(channel, service.INFERENCE)
            await stub.RepositoryModelLoad(request, timeout=self._limits.load_seconds)


def _problem(error: grpc.aio.AioRpcError, seconds: float, url: str) -> ServerLost | ServerRefusal:
    details = error.details() or ""
    match error.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
            return ServerLost(f"the inference server at {url} is gone: {details}")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return ServerRefusal(f"the inference server did not answer within {seconds:g} s")
    return ServerRefusal(f"the inference server cannot load it: {sentences.reason(details)}")


def _given(source: Path, uri: str) -> dict[str, Any] | None:
    """The settings that came with the model. Raises `ArtifactProblem`, OSError."""
    try:
        return settings_file.parsed(json.loads((source / settings_file.FILE).read_bytes()))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise ArtifactProblem(f"cannot use {uri}: {settings_file.FILE} is not JSON: {error}") from error
    except ValueError as error:
        raise ArtifactProblem(f"cannot use {uri}: {error}") from error


def _sources(folder: Path, files: Sequence[str]) -> dict[str, str]:
    return {
        it: path.read_text(errors="replace")
        for it in files
        if it.endswith(".py") and (path := folder / it).stat().st_size <= MOST_SOURCE_BYTES
    }
