"""Watchers of models and servers: each is told what changed, once, however often it changed meanwhile."""

import asyncio
from collections.abc import Iterable


class Watch:
    """Names that changed since they were last taken. Bounded by the number of names, not of changes."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()

    def tell(self, names: Iterable[str]) -> None:
        self._changed.update(dict.fromkeys(names))
        if self._changed:
            self._wake.set()

    async def take(self) -> list[str]:
        """Waits until something changed."""
        await self._wake.wait()
        self._wake.clear()
        names = list(self._changed)
        self._changed.clear()
        return names


class Watches:
    """All watchers of one kind of thing."""

    def __init__(self) -> None:
        self._all: set[Watch] = set()

    def __len__(self) -> int:
        return len(self._all)

    def open(self, names: Iterable[str] = ()) -> Watch:
        """A watch that begins with these names as changed. Close it."""
        watch = Watch()
        watch.tell(names)
        self._all.add(watch)
        return watch

    def close(self, watch: Watch) -> None:
        self._all.discard(watch)

    def tell(self, names: Iterable[str]) -> None:
        for watch in self._all:
            watch.tell(names)
