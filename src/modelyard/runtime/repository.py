"""The models of one folder: what is loaded, and loading and unloading them.

Loads and unloads of one model happen one after another, those of different models side by side; asking for a load
while one waits or runs joins it. The work is done in threads, so that the event loop goes on answering.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from modelyard.kit.errors import InvalidInput, ModelyardError, NotFound, Refused
from modelyard.kit.tasks import TaskSet
from modelyard.runtime import memory
from modelyard.runtime.errors import NotLoaded, WorkerAway
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.in_use import InUse
from modelyard.wire.oip.loading import NOTHING_ORDERED, HeldModel, LoadOrder
from modelyard.wire.oip.nouns import IndexEntry

log = logging.getLogger(__name__)

Loader: TypeAlias = Callable[[Path, LoadOrder], LoadedModel | Awaitable[LoadedModel]]

# How long an unload waits for requests that still use the model.
UNLOAD_WAIT_SECONDS = 10.0


class State(Enum):
    READY = "READY"
    LOADING = "LOADING"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class LoadReport:
    held: HeldModel
    load_ms: int


@dataclass(slots=True)
class _Entry:
    state: State
    reason: str = ""
    in_use: InUse | None = None


@dataclass(slots=True)
class _Operation:
    """The last operation asked for on a model; the next one waits for it."""

    load: bool
    task: asyncio.Task[Any]


@dataclass(slots=True)
class Repository:
    folder: Path
    loader: Loader
    threads: Executor
    unload_wait_seconds: float = UNLOAD_WAIT_SECONDS
    accelerate: Callable[[InUse, Path, LoadOrder], None] | None = None
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _operations: dict[str, _Operation] = field(default_factory=dict)
    _coming: dict[str, "asyncio.Future[LoadedModel]"] = field(default_factory=dict)
    _background: TaskSet = field(default_factory=TaskSet)

    def get(self, name: str, version: str = "") -> InUse:
        """The model as it is loaded now.

        Raises `NotLoaded`, `NotFound` for another version than is loaded, or `WorkerAway`.
        """
        entry = self._entries.get(name)
        if entry is None or entry.in_use is None:
            raise NotLoaded(f"the model '{name}' is not loaded")
        if trouble := entry.in_use.trouble:
            raise WorkerAway(f"the model '{name}' cannot answer now: {trouble}")
        if version and version != entry.in_use.loaded.version:
            have = entry.in_use.loaded.version
            raise NotFound(f"the model '{name}' has no version '{version}' here: version {have} is loaded")
        return entry.in_use

    def index(self, *, ready_only: bool = False) -> list[IndexEntry]:
        """Everything in the folder and everything loaded, by name."""
        try:
            names = {it.name for it in self.folder.iterdir() if it.is_dir() and not it.name.startswith(".")}
        except OSError:
            names = set()
        entries = [self._describe(name) for name in sorted(names | set(self._entries))]
        return [it for it in entries if it.state == State.READY.value or not ready_only]

    def _describe(self, name: str) -> IndexEntry:
        entry = self._entries.get(name)
        if entry is None:
            return IndexEntry(name, "", State.UNAVAILABLE.value, "not loaded")
        version = entry.in_use.loaded.version if entry.in_use else ""
        trouble = entry.in_use.trouble if entry.in_use else ""
        if trouble and entry.state is State.READY:
            return IndexEntry(name, version, State.UNAVAILABLE.value, trouble)
        return IndexEntry(name, version, entry.state.value, entry.reason)

    def held(self) -> list[HeldModel]:
        """Everything that is loaded, by name."""
        in_use = [it.in_use for _, it in sorted(self._entries.items()) if it.in_use is not None]
        return [_held(it) for it in in_use]

    async def load(self, name: str, order: LoadOrder = NOTHING_ORDERED) -> LoadReport:
        """Load, or load anew: the new one takes the old one's place when it is ready, not before.

        Raises `NotFound`, `InvalidInput` or `OutOfMemory`; a model that was loaded then stays.
        """
        if not _names_folder(name):
            raise InvalidInput(f"'{name}' cannot name a model: it must name a folder in the repository")
        last = self._operations.get(name)
        if last is not None and last.load:
            joined: LoadReport = await asyncio.shield(last.task)
            return joined
        report: LoadReport = await self._after(last, name, partial(self._load, order=order), load=True)
        return report

    async def unload(self, name: str) -> None:
        """Take the model out; waits for its requests, so that its memory is free at the end. A load that still goes on
        in another process is given up. Raises `NotFound`."""
        last = self._operations.get(name)
        if last is None and name not in self._entries:
            if not _names_folder(name) or not (self.folder / name).is_dir():
                raise NotFound(f"there is no model '{name}' in the repository {self.folder}")
            return
        if last is not None and not last.load:
            await asyncio.shield(last.task)
            return
        if (coming := self._coming.get(name)) is not None:
            coming.cancel()
        await self._after(last, name, self._unload, load=False)

    async def close(self) -> None:
        for operation in list(self._operations.values()):
            operation.task.cancel()
        await asyncio.gather(*(it.task for it in self._operations.values()), return_exceptions=True)
        await self._background.cancel()
        self._entries.clear()

    async def _after(
        self, last: _Operation | None, name: str, work: Callable[[str], Coroutine[Any, Any, Any]], *, load: bool
    ) -> Any:
        """Run `work` when `last` is over; a caller who goes away does not stop it."""

        async def run() -> Any:
            if last is not None:
                await asyncio.wait([last.task])
            return await work(name)

        def over(task: asyncio.Task[Any]) -> None:
            if self._operations.get(name) is operation:
                del self._operations[name]
            if not task.cancelled():
                task.exception()  # logged already; the callers may all have gone away

        task = asyncio.create_task(run(), name=f"{'load' if load else 'unload'} {name}")
        operation = self._operations[name] = _Operation(load, task)
        task.add_done_callback(over)
        return await asyncio.shield(task)

    async def _load(self, name: str, order: LoadOrder) -> LoadReport:
        old = self._entries.get(name)
        in_use = old.in_use if old else None
        if in_use is None:
            self._entries[name] = _Entry(State.LOADING)
        started = time.perf_counter()
        try:
            work = partial(self.loader, self.folder / name, order)
            found = await asyncio.get_running_loop().run_in_executor(self.threads, work)
            loaded = found if isinstance(found, LoadedModel) else await self._coming_from_elsewhere(name, found)
        except BaseException as error:
            self._load_failed(name, in_use, error)
            raise
        self._entries[name] = _Entry(State.READY, in_use=(now := InUse(loaded)))
        if self.accelerate is not None:
            self.accelerate(now, self.folder / name, order)
        load_ms = round((time.perf_counter() - started) * 1000)
        log.info("loaded %s (%s, version %s) in %d ms", name, loaded.model.signature.platform, loaded.version, load_ms)
        if in_use is not None:
            self._background.start(self._retire(in_use), name=f"retire {name}")
        return LoadReport(_held(now), load_ms)

    async def _coming_from_elsewhere(self, name: str, found: Awaitable[LoadedModel]) -> LoadedModel:
        """An unload ends it: whoever loads there may never come to an end."""
        coming = self._coming[name] = asyncio.ensure_future(found)
        try:
            return await coming
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Refused(f"the load of '{name}' was given up: it was told to unload meanwhile") from None
        finally:
            del self._coming[name]

    def _load_failed(self, name: str, in_use: InUse | None, error: BaseException) -> None:
        reason = str(error) if isinstance(error, ModelyardError) else type(error).__name__
        log.warning("cannot load %s: %s", name, reason)
        if in_use is not None:
            self._entries[name] = _Entry(State.READY, f"the last reload failed: {reason}", in_use)
        elif isinstance(error, NotFound):
            del self._entries[name]
        else:
            self._entries[name] = _Entry(State.UNAVAILABLE, reason)

    async def _unload(self, name: str) -> None:
        entry = self._entries.get(name)
        if entry is None:
            return
        in_use, entry.in_use = entry.in_use, None  # from here on nobody finds it
        try:
            if in_use is not None:
                entry.state = State.UNLOADING
                await self._retire(in_use)
                log.info("unloaded %s", name)
        finally:
            del self._entries[name]

    async def _retire(self, in_use: InUse) -> None:
        """Wait until nobody uses it, then give its memory back to the system."""
        if in_use.compiling is not None:
            in_use.compiling.cancel()
        for it in (in_use, in_use.compiled):
            if it is not None and not await it.until_idle(self.unload_wait_seconds):
                log.warning("%s is freed only when its %d requests are done", it.loaded.name, it.requests)
        elsewhere = in_use.loaded.elsewhere
        del it, in_use
        if elsewhere is not None:
            await elsewhere.release()
        else:
            await asyncio.get_running_loop().run_in_executor(self.threads, partial(memory.settle, collect=False))


def _names_folder(name: str) -> bool:
    """Whether the name stays inside the repository."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


def _held(it: InUse) -> HeldModel:
    return HeldModel(it.loaded.name, it.loaded.version, _memory_bytes(it), it.loaded.note)


def _memory_bytes(in_use: InUse) -> int | None:
    """With what a compiled model takes beside the native one."""
    loaded = in_use.loaded
    native = loaded.elsewhere.memory_bytes if loaded.elsewhere is not None else loaded.memory_bytes
    compiled = in_use.compiled.loaded.memory_bytes if in_use.compiled is not None else 0
    return None if native is None or compiled is None else native + compiled
