"""A load, wherever the model is going to live. Those in this process take turns, so that the cost of each shows."""

import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from modelyard.runtime import memory
from modelyard.runtime.formats import artifact, load
from modelyard.runtime.formats.load import LoadedModel, Options
from modelyard.runtime.workers import placing
from modelyard.runtime.workers.keeper import Keeper
from modelyard.runtime.workers.placing import Place
from modelyard.wire.oip.loading import LoadOrder


class Loading:
    """The loader of a repository. `keeper` None: no workers, everything lives here."""

    def __init__(self, options: Options, keeper: Keeper | None) -> None:
        self._options = options
        self._keeper = keeper
        self._turn = threading.Lock()

    def __call__(self, folder: Path, order: LoadOrder) -> LoadedModel | Awaitable[LoadedModel]:
        """Call it in a thread. What is to be awaited is for the event loop."""
        found = artifact.find(folder, order)
        if self._keeper is not None:
            place = placing.place(found.format, _size(found.path), found.settings.worker)
            if place is not Place.HERE:
                return self._keeper.load(folder, order, place)
        load.prepare(found.format)
        return self._load_here(lambda: load.load(folder, self._options, order))

    def _load_here(self, work: Callable[[], LoadedModel]) -> LoadedModel:
        with self._turn:
            # Collecting garbage would stop the event loop for as long as that takes.
            memory.settle(collect=False)
            before = memory.own_bytes()
            loaded = work()
            memory.settle(collect=False)
            cost = max(memory.own_bytes() - before, memory.LEAST_BYTES)
        return replace(loaded, memory_bytes=cost)


def _size(path: Path) -> int:
    """Bytes of a file, or of all in a folder."""
    if path.is_dir():
        return sum(it.stat().st_size for it in path.rglob("*") if it.is_file())
    return path.stat().st_size
