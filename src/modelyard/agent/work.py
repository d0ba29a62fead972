"""Performs what takes long: fetches, loads and unloads. Each ends in exactly one event."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from modelyard.agent.artifacts import Artifacts
from modelyard.agent.door import Door
from modelyard.agent.messages import (
    Event,
    Fetch,
    Fetched,
    FetchFailed,
    Load,
    Loaded,
    LoadFailed,
    Unload,
    Unloaded,
    UnloadFailed,
)
from modelyard.agent.model_folders import ModelFolders
from modelyard.agent.problems import ServerLost
from modelyard.agent.servers.v2 import V2Server
from modelyard.agent.settings import Limits
from modelyard.domain.model import ModelSpec
from modelyard.domain.names import VersionId
from modelyard.kit.errors import ModelyardError
from modelyard.kit.tasks import TaskSet
from modelyard.wire.oip.loading import LoadOrder

log = logging.getLogger(__name__)


class Work:
    def __init__(
        self,
        artifacts: Artifacts,
        folders: ModelFolders,
        server: V2Server,
        door: Door,
        limits: Limits,
        emit: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._artifacts = artifacts
        self._folders = folders
        self._server = server
        self._door = door
        self._limits = limits
        self._emit = emit
        self._tasks = TaskSet()
        self._fetches: dict[VersionId, asyncio.Task[None]] = {}
        self._fetch_turn = asyncio.Semaphore(limits.fetches_at_once)
        self._load_turn = asyncio.Semaphore(limits.loads_at_once)

    async def stop(self) -> None:
        await self._tasks.cancel()

    def fetch(self, effect: Fetch) -> None:
        version = effect.model_version.id
        task = self._tasks.start(self._fetch(effect), name=f"fetch {version}")
        self._fetches[version] = task

    def cancel_fetch(self, version: VersionId) -> None:
        task = self._fetches.pop(version, None)
        if task is not None:
            task.cancel()
            # A task that is cancelled before its first step runs nothing of it, so the event is sent from outside.
            self._tasks.start(self._say_called_off(version, task), name=f"call off {version}")

    async def _say_called_off(self, version: VersionId, task: "asyncio.Task[None]") -> None:
        await asyncio.wait([task])
        if task.cancelled():
            await self._emit(FetchFailed(version, "called off"))

    async def _fetch(self, effect: Fetch) -> None:
        version, artifact = effect.model_version.id, effect.model_version.model.spec.artifact
        event: Event
        try:
            async with self._fetch_turn:
                key = await self._artifacts.fetch(version, artifact)
            source = self._artifacts.path(key)
            event = Fetched(version, key, await asyncio.to_thread(self._server.copies, effect.model_version, source))
        except ModelyardError as error:
            event = FetchFailed(version, str(error))
        except OSError as error:
            event = FetchFailed(version, f"cannot fetch {artifact.shown}: {error.strerror or error}")
        self._fetches.pop(version, None)  # from here on there is nothing to call off
        await self._emit(event)

    def load(self, effect: Load) -> None:
        self._tasks.start(self._load(effect), name=f"load {effect.model_version.id}")

    async def _load(self, effect: Load) -> None:
        version = effect.model_version.id
        event: Event
        async with self._load_turn:
            try:
                arrange = partial(self._server.arrange, effect.model_version, self._artifacts.path(effect.artifact))
                await asyncio.to_thread(self._folders.place, version, arrange)
                order = _order(effect.model_version.model.spec, effect.artifact)
                answer = await self._server.load(str(version), order)
                await self._door.open(str(version))
                event = Loaded(version, answer.load_ms, answer.figure)
            except ServerLost as error:
                event = LoadFailed(version, str(error), lost=True)
            except ModelyardError as error:
                event = await self._undo(version, str(error))
            except OSError as error:
                reason = f"cannot put its files into the model repository: {error.strerror or error}"
                event = await self._undo(version, reason)
        await self._emit(event)

    async def _undo(self, version: VersionId, reason: str) -> LoadFailed:
        """Leave nothing of a failed load: a server may keep a model that it loaded too slowly, or before."""
        log.warning("%s cannot be loaded: %s", version, reason)
        try:
            await self._remove(version)
        except ServerLost:
            return LoadFailed(version, reason, lost=True)
        except (ModelyardError, OSError) as error:
            log.warning("%s: clearing away after the failed load failed too: %s", version, error)
        return LoadFailed(version, reason)

    def unload(self, effect: Unload) -> None:
        self._tasks.start(self._unload(effect.version), name=f"unload {effect.version}")

    async def _unload(self, version: VersionId) -> None:
        event: Event
        await asyncio.sleep(self._limits.unload_grace_seconds)
        try:
            await self._remove(version)
            event = Unloaded(version)
        except ModelyardError as error:
            event = UnloadFailed(version, str(error), lost=isinstance(error, ServerLost))
        except OSError as error:
            event = UnloadFailed(version, f"cannot remove its folder: {error.strerror or error}")
        await self._emit(event)

    async def _remove(self, version: VersionId) -> None:
        """Out of the server, once nobody uses it any more, and out of its repository."""
        await self._door.close(str(version))
        await self._server.unload(str(version))
        self._door.unloaded(str(version))
        await asyncio.to_thread(self._folders.remove, version)


def _order(spec: ModelSpec, artifact: str) -> LoadOrder:
    """What the manifest says that the files do not. A folder that was chosen already is not chosen again."""
    chosen = "/" in artifact
    return LoadOrder(
        requirements=tuple(sorted(spec.requirements)),
        parameters=dict(spec.parameters),
        artifact=artifact,
        artifact_version=None if chosen else spec.artifact.version,
    )
