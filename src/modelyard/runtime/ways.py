"""The ways in which a model's calls run: on the event loop, in threads, or wherever else a model says.

A way takes requests that a lane has put together, and gives back an outcome for each, at once or later.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol, TypeAlias, TypeVar

from modelyard.kit.errors import ModelyardError
from modelyard.runtime import calls
from modelyard.runtime.batching import Limits, Share
from modelyard.runtime.calls import Fitted, Outcome
from modelyard.runtime.elsewhere import Elsewhere
from modelyard.runtime.errors import ModelFailed, first_line
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.pace import LARGE_BYTES, QUICK_SECONDS, Pace
from modelyard.wire.oip.nouns import InferRequest

T = TypeVar("T")
Done: TypeAlias = Callable[[Sequence[Outcome]], None]


class Way(Protocol[T]):
    concurrency: int  # calls at the same time, unless the model's settings say otherwise

    def admit(self, request: InferRequest) -> tuple[T, Share | None]:
        """What `start` takes, and what the request brings to a shared call. Raises `InvalidInput`."""
        ...

    def start(self, admitted: Sequence[T], done: Done) -> None:
        """Call `done` once, on the event loop, perhaps before this returns."""
        ...


class Quick:
    """A model that is quick, or says so: checked and put together by kind here, run on the loop when it has shown that
    it is (`Pace`), until then in threads."""

    def __init__(self, loaded: LoadedModel, threads: Executor, concurrency: int) -> None:
        self._loaded = loaded
        self._threads = threads
        self._pace = Pace()
        self._doubtful = False
        self.concurrency = concurrency

    def admit(self, request: InferRequest) -> tuple[Fitted, Share | None]:
        fitted = calls.fit(self._loaded, request)
        return fitted, fitted.share

    def start(self, admitted: Sequence[Fitted], done: Done) -> None:
        if self._pace.on_loop and (len(admitted) > 1 or _bytes(admitted[0]) <= LARGE_BYTES):
            done(self._run(admitted))
        else:
            _in_thread(self._threads, lambda: self._run(admitted), len(admitted), done)

    def _run(self, admitted: Sequence[Fitted]) -> list[Outcome]:
        """CPU time costs a system call to know. What took little by the clock took no more of it; where that says
        much, on a busy machine perhaps of somebody else's doing, the next call is measured exactly."""
        exactly = self._doubtful or not self._pace.on_loop
        clock = time.thread_time if exactly else time.perf_counter
        before = clock()
        outcomes = calls.run_fitted(self._loaded, admitted)
        seconds = clock() - before
        self._doubtful = not exactly and seconds > QUICK_SECONDS
        if not self._doubtful:
            self._pace.saw(seconds)
        return outcomes


class Threaded:
    """A model that is not quick: all that touches it happens in threads."""

    def __init__(self, loaded: LoadedModel, threads: Executor, concurrency: int) -> None:
        self._loaded = loaded
        self._threads = threads
        self.concurrency = concurrency

    def admit(self, request: InferRequest) -> tuple[InferRequest, Share | None]:
        return request, unfitted_share(request, self._loaded.batching)

    def start(self, admitted: Sequence[InferRequest], done: Done) -> None:
        _in_thread(self._threads, lambda: calls.run(self._loaded, admitted), len(admitted), done)


def unfitted_share(request: InferRequest, limits: Limits | None) -> Share | None:
    """What a request brings, by what its client says of its first tensor; who shares with whom shows when they run."""
    if limits is None or not request.inputs:
        return None
    data = request.inputs[0].data
    rows = data.shape[0] if data.ndim else 1
    size = sum(it.data.nbytes for it in request.inputs)
    if rows < 1 or rows >= limits.rows or size >= limits.input_bytes:
        return None
    return Share((), rows, size)


def _bytes(fitted: Fitted) -> int:
    return sum(it.nbytes for it in fitted.inputs.values())


def _in_thread(threads: Executor, work: Callable[[], Sequence[Outcome]], count: int, done: Done) -> None:
    loop = asyncio.get_running_loop()

    def over(future: "asyncio.Future[Sequence[Outcome]]") -> None:
        if future.cancelled():
            done([ModelFailed("the server is stopping")] * count)
        elif (error := future.exception()) is not None:
            done([_failed(error)] * count)
        else:
            done(future.result())

    loop.run_in_executor(threads, work).add_done_callback(over)


def _failed(error: BaseException) -> ModelyardError:
    return ModelFailed(f"the model failed: {type(error).__name__}: {first_line(error)}")


class Away:
    """A model in another process, which takes requests whole."""

    def __init__(self, elsewhere: Elsewhere, limits: Limits | None, concurrency: int) -> None:
        self._elsewhere = elsewhere
        self._limits = limits
        self.concurrency = concurrency

    def admit(self, request: InferRequest) -> tuple[InferRequest, Share | None]:
        return request, unfitted_share(request, self._limits)

    def start(self, admitted: Sequence[InferRequest], done: Done) -> None:
        self._elsewhere.start(admitted, done)
