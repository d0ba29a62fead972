"""Compiles models beside the traffic: each is served natively until its graph is ready, and then by that.

wished? ──▶ waits its turn ──▶ kept from before? ──▶ child: compile, check ──▶ session ──▶ InUse.compiled
                                                          └─ any no: native, and the note says why
"""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from modelyard.kit.errors import ModelyardError
from modelyard.kit.tasks import TaskSet
from modelyard.runtime import memory
from modelyard.runtime.acceleration import key, process, wish
from modelyard.runtime.acceleration.cache import Cache, Kept
from modelyard.runtime.acceleration.plan import Plan
from modelyard.runtime.acceleration.process import Bounds, GaveUp
from modelyard.runtime.acceleration.task import Task
from modelyard.runtime.acceleration.wish import Wish
from modelyard.runtime.batching import Limits
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats import artifact, content
from modelyard.runtime.formats.artifact import Found
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.formats.load import Options as FormatOptions
from modelyard.runtime.in_use import InUse
from modelyard.wire.oip.loading import LoadOrder

log = logging.getLogger(__name__)

T = TypeVar("T")

ROWS = 4_000  # on which a compiled model is checked
MOST_CACHE_BYTES = 2 << 30
_BYTES_FOR_A_BYTE_OF_GRAPH = 8


@dataclass(frozen=True, slots=True)
class Options:
    """`default`: `wish.ONNX` or `wish.NONE`, for models that say nothing. `at_once`: compiled at a time."""

    cache: Path
    default: str = wish.NONE
    bounds: Bounds = field(default_factory=Bounds)
    cache_bytes: int = MOST_CACHE_BYTES
    at_once: int = 1
    rows: int = ROWS


class Accelerator:
    """Used from one event loop; `threads` do what blocks."""

    def __init__(self, options: Options, formats: FormatOptions, threads: Executor) -> None:
        self._options, self._formats, self._threads = options, formats, threads
        self._cache = Cache(options.cache, options.cache_bytes)
        self._turns = asyncio.Semaphore(options.at_once)
        self._tasks = TaskSet()
        self._swept = False

    def begin(self, in_use: InUse, folder: Path, order: LoadOrder) -> None:
        """For a model that was just loaded. Cancelling `in_use.compiling` ends it, and leaves nothing behind."""
        in_use.compiling = self._tasks.start(
            self._accelerate(in_use, folder, order), name=f"accelerate {in_use.loaded.name}"
        )

    async def close(self) -> None:
        await self._tasks.cancel()

    async def _accelerate(self, in_use: InUse, folder: Path, order: LoadOrder) -> None:
        own_note = in_use.loaded.note

        def note(text: str) -> None:
            in_use.loaded = replace(in_use.loaded, note="; ".join(it for it in (own_note, text) if it))

        try:
            found = await self._in_thread(partial(artifact.find, folder, order))
            wished = wish.of(found.settings, self._options.default)
            if wished.optimize != wish.ONNX or found.format == content.ONNX:
                return
            note("waits to be compiled to ONNX, answers natively meanwhile")
            async with self._turns:
                note("is being compiled to ONNX, answers natively meanwhile")
                kept = await self._compiled(found, folder, order, wished)
            if kept.plan is None:
                raise GaveUp(kept.reason)
            in_use.compiled = await self._switched(in_use.loaded, kept.content, kept.plan, found)
        except asyncio.CancelledError:
            note("not accelerated: it was unloaded or loaded anew before it was compiled")
            raise
        except (GaveUp, ModelyardError, OSError, ValueError, MemoryError) as error:
            note(f"not accelerated: {_reason(error)}")
            log.info("%s is not accelerated: %s", in_use.loaded.name, _reason(error))
            return
        except Exception:  # a fault of ours, which must not leave the model waiting in its note for ever
            note("not accelerated by a fault of the server; its log says more")
            raise
        note(_sentence(kept.plan, datetime.now(UTC)))
        log.info("%s %s", in_use.loaded.name, in_use.loaded.note)

    async def _compiled(self, found: Found, folder: Path, order: LoadOrder, wished: Wish) -> Kept:
        """Kept from before, or made now. Raises `GaveUp`, `OSError` or `ValueError`."""
        options = self._options
        if not self._swept:
            self._swept = True
            await self._in_thread(self._cache.sweep)
        before = await self._in_thread(partial(_stamp, found.path))
        named = await self._in_thread(partial(key.of, found, wished.limits, options.rows))
        kept = await self._in_thread(partial(self._cache.get, named))
        # What pickles may do is decided anew each time; a graph runs no code.
        if kept is not None:
            return kept
        process.check_room(sum(size for _, _, size, _ in before), options.bounds)
        with self._cache.work_folder() as into:
            told = Task(
                folder=str(folder.resolve()),
                order=order,
                into=str(into),
                limits=wished.limits,
                pickle=self._formats.pickle,
                rows=options.rows,
                memory_bytes=options.bounds.memory_bytes,
                parent=os.getpid(),
            )
            await process.run(told, options.bounds)
            if await self._in_thread(partial(_stamp, found.path)) != before:
                raise GaveUp("its files changed while it was compiled")
            return await self._in_thread(partial(self._cache.put, named, into))

    async def _switched(self, native: LoadedModel, graph: bytes, plan: Plan, found: Found) -> InUse:
        from modelyard.runtime.acceleration.compiled import CompiledModel  # ONNX Runtime, which not all need

        defaults = found.settings.content_types

        def opened() -> tuple[CompiledModel, int]:
            before = memory.own_bytes()
            model = CompiledModel(native.model.signature, graph, plan, defaults)
            # What others loaded meanwhile is not this one's.
            most = _BYTES_FOR_A_BYTE_OF_GRAPH * len(graph)
            return model, max(min(memory.own_bytes() - before, most), memory.LEAST_BYTES)

        try:
            model, cost = await self._in_thread(opened)
        except MemoryError:
            raise
        except Exception as error:  # ONNX Runtime has no common one
            raise GaveUp(f"ONNX Runtime does not load its graph: {first_line(error)}") from None
        return InUse(replace(native, model=model, elsewhere=None, memory_bytes=cost, batching=self._batching(found)))

    def _batching(self, found: Found) -> Limits | None:
        """Its rows do not depend on each other: the check asked some of them alone."""
        settings, limits = found.settings, Limits(wait_seconds=found.settings.wait_seconds or 0.0)
        if settings.max_batch_size is not None:
            limits = replace(limits, requests=settings.max_batch_size)
        return limits if self._formats.batch and settings.batch is not False and limits.requests > 1 else None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _stamp(path: Path) -> list[tuple[str, int, int, int]]:
    """Of each file its name, inode, size and time: they change with its content."""
    files = [path] if path.is_file() else sorted(it for it in path.rglob("*") if it.is_file())
    stats = [(str(it), it.stat()) for it in files]
    return [(name, it.st_ino, it.st_size, it.st_mtime_ns) for name, it in stats]


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _sentence(plan: Plan, now: datetime) -> str:
    """`answers by ONNX since 2026-11-22 12:01 UTC, checked on 4,000 rows: …`"""
    found = f"answers by ONNX since {now:%Y-%m-%d %H:%M} UTC, {plan.comparison.sentence()}"
    left = ", ".join(f"{name} ({reason})" for name, reason in plan.native.items())
    return f"{found}; natively: {left}" if left else found
