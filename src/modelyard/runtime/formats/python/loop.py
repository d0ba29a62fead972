"""An event loop in a thread of its own, for models whose methods are coroutines."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """Its methods are called in other threads, and wait."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name="async model", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def each(self, parts: AsyncIterator[T]) -> Iterator[T]:
        """What an asynchronous iterator gives, one after another; closing this closes that."""
        try:
            while True:
                try:
                    yield self.run(_next(parts))
                except StopAsyncIteration:
                    return
        finally:
            close = getattr(parts, "aclose", None)
            if close is not None:
                self.run(close())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


async def _next(parts: AsyncIterator[T]) -> T:
    return await anext(parts)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
