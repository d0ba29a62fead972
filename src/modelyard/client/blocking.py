"""The client of plain programs: the asynchronous one, run by an event loop in a thread of its own.

Each method is made of its asynchronous counterpart, with the same signature, so that none is written twice.
"""

import asyncio
import concurrent.futures
import functools
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from modelyard.client.aio import CONTROL_TIMEOUT_SECONDS, INFER_TIMEOUT_SECONDS, AsyncClient
from modelyard.kit.errors import Refused

P = ParamSpec("P")
R = TypeVar("R")


def _blocking(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate["Client", P], R]:
    @functools.wraps(method)
    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._loop.run(method(self._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[AsyncClient, P], AsyncIterator[R]],
) -> Callable[Concatenate["Client", P], Iterator[R]]:
    @functools.wraps(method)
    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        items: Any = method(self._client, *args, **kwargs)
        try:
            while True:
                try:
                    item: R = self._loop.run(anext(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            if not self._loop.closed:
                self._loop.run(items.aclose())

    return call


class Client:
    """Load models, watch them and ask them.

        with Client() as client:
            client.load("iris", "/models/iris", requires=["onnx"])
            client.wait("iris")
            answer = client.infer("iris", {"X": np.zeros((1, 4), np.float32)})

    Without arguments it finds the system running on this machine for this user, as the command line does; else name
    its state directory, or a scheduler and a gateway as HOST:PORT. Errors are `modelyard.kit.errors.ModelyardError`s.
    It may be shared by threads.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        gateway: str | None = None,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        timeout_seconds: float = CONTROL_TIMEOUT_SECONDS,
        infer_timeout_seconds: float = INFER_TIMEOUT_SECONDS,
    ) -> None:
        self._client = AsyncClient(
            scheduler,
            gateway,
            state_dir=state_dir,
            timeout_seconds=timeout_seconds,
            infer_timeout_seconds=infer_timeout_seconds,
        )
        self._loop = _LoopThread()
        # Without a `close` the thread ends with the client.
        weakref.finalize(self, self._loop.close)

    apply = _blocking(AsyncClient.apply)
    apply_manifest = _blocking(AsyncClient.apply_manifest)
    load = _blocking(AsyncClient.load)
    unload = _blocking(AsyncClient.unload)
    delete_server = _blocking(AsyncClient.delete_server)
    models = _blocking(AsyncClient.models)
    model = _blocking(AsyncClient.model)
    watch_models = _iterating(AsyncClient.watch_models)
    servers = _blocking(AsyncClient.servers)
    server = _blocking(AsyncClient.server)
    explain = _blocking(AsyncClient.explain)
    events = _blocking(AsyncClient.events)
    status = _blocking(AsyncClient.status)
    wait = _blocking(AsyncClient.wait)
    infer = _blocking(AsyncClient.infer)
    infer_json = _blocking(AsyncClient.infer_json)
    metadata = _blocking(AsyncClient.metadata)
    ready = _blocking(AsyncClient.ready)

    def close(self) -> None:
        """Close every connection and end the thread. It may be called twice."""
        if not self._loop.closed:
            self._loop.run(self._client.close())
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="modelyard-client", daemon=True)
        self._thread.start()

    def _live(self) -> None:
        """The loop ends where it ran: the thread that closes it may run a loop of its own, as notebooks do."""
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Wait for it; an interrupt (Ctrl-C) cancels it."""
        if self.closed:
            work.close()
            raise Refused("this client is closed: make a new one")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        if self.closed:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()
