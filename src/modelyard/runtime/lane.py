"""The requests of one loaded model: who waits, what runs, and who shares a call with whom.

        add                     pump                    way
request ───▶ waiting, by kind ──────▶ at most so many ──────▶ outcomes ──▶ on_answer
              │      full: TooBusy      calls at a time
              └─ cancelled: gone before it runs

The first request asks the loop to be called when it has read everything that had arrived, and what comes until then may
share its call. While as many calls run as may, requests gather, and those of one kind are the next call. Nobody waits
longer for it, unless the model is told to be patient (`Limits.wait_seconds`).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from modelyard.kit.errors import ModelyardError
from modelyard.runtime.batching import Limits, Share
from modelyard.runtime.bounds import MOST_WAITING_BYTES, Bounds
from modelyard.runtime.calls import Outcome
from modelyard.runtime.errors import TooBusy
from modelyard.runtime.in_use import InUse
from modelyard.runtime.ways import Way
from modelyard.wire.oip.nouns import InferRequest, InferResponse

log = logging.getLogger(__name__)

OnAnswer: TypeAlias = Callable[[InferResponse | Exception], None]


class Asked:
    """A request that was taken in; its `on_answer` is called once, unless it is cancelled first."""

    __slots__ = ("_lane", "admitted", "arrived", "future", "id", "input_bytes", "on_answer", "share", "waits")

    def __init__(
        self, lane: "Lane", admitted: Any, share: Share | None, request_id: str, on_answer: OnAnswer, arrived: float
    ) -> None:
        self._lane = lane
        self.admitted = admitted
        self.share = share
        self.id = request_id
        self.on_answer: OnAnswer | None = on_answer
        self.arrived = arrived
        self.waits = True
        self.input_bytes = 0
        self.future: asyncio.Future[InferResponse] | None = None  # where someone waits for one

    @property
    def wanted(self) -> bool:
        """A future tells that it was cancelled only in a later turn, and may be asked now."""
        return self.on_answer is not None and (self.future is None or not self.future.done())

    def cancel(self) -> None:
        """Nobody wants the answer any more. What waits does not run; a call that runs ends by itself."""
        self.on_answer = None
        if self.waits:
            self._lane.forget(self)


class Lane:
    def __init__(self, in_use: InUse, way: Way[Any], limits: Limits | None, bounds: Bounds) -> None:
        self._in_use = in_use
        self._way = way
        self._limits = limits or Limits(requests=1)
        self._concurrency = bounds.max_concurrency or way.concurrency
        self._most_waiting = bounds.max_queue
        self._queues: dict[object, deque[Asked]] = {}  # by kind, the one whose turn it is first
        self._waiting = self._waiting_bytes = 0
        self._running = 0
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        return self._waiting

    def add(self, request: InferRequest, on_answer: OnAnswer) -> Asked:
        """The model is in use until it is answered. Raises `InvalidInput`, or `TooBusy` when too many wait."""
        if self._waiting >= self._most_waiting:
            raise self._too_busy(f"{self._most_waiting} requests")
        admitted, share = self._way.admit(request)
        size = share.input_bytes if share is not None else sum(it.data.nbytes for it in request.inputs)
        if self._waiting and self._waiting_bytes + size > MOST_WAITING_BYTES:
            raise self._too_busy(f"requests of {self._waiting_bytes >> 20} MiB")
        patient = self._limits.wait_seconds
        asked = Asked(self, admitted, share, request.id, on_answer, self._loop.time() if patient else 0.0)
        asked.input_bytes = size
        kind = share.kind if share is not None else asked
        queue = self._queues.get(kind)
        if queue is None:
            queue = self._queues[kind] = deque()
        queue.append(asked)
        self._waiting += 1
        self._waiting_bytes += size
        self._in_use.begin()
        if not self._woken and self._running < self._concurrency:
            self._woken = True
            self._loop.call_soon(self._pump)
        return asked

    def _too_busy(self, what: str) -> TooBusy:
        name = self._in_use.loaded.name
        return TooBusy(f"the model '{name}' is busy: {what} wait for it, and no more may; try again later")

    def forget(self, asked: Asked) -> None:
        """It went away while it waited."""
        kind = asked.share.kind if asked.share is not None else asked
        queue = self._queues[kind]
        queue.remove(asked)
        if not queue:
            del self._queues[kind]
        self._left(asked)
        self._in_use.end()

    def _left(self, asked: Asked) -> None:
        asked.waits = False
        self._waiting -= 1
        self._waiting_bytes -= asked.input_bytes

    def _pump(self) -> None:
        self._woken = False
        while self._running < self._concurrency and (kind := self._ripe()) is not None:
            if call := self._take(kind):
                self._start(call)

    def _ripe(self) -> object | None:
        """The kind whose call should run now; None: nothing waits, or it may wait a little longer for company."""
        if not self._limits.wait_seconds:
            return next(iter(self._queues), None)
        now = self._loop.time()
        soonest: float | None = None
        for kind, queue in self._queues.items():
            due = queue[0].arrived + self._limits.wait_seconds
            if queue[0].share is None or len(queue) >= self._limits.requests or due <= now or self._crowded(queue):
                return kind
            soonest = due if soonest is None else min(soonest, due)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(soonest, self._pump) if soonest is not None else None
        return None

    def _crowded(self, queue: deque[Asked]) -> bool:
        """Whether more waits than one call takes."""
        shares = [it.share for it in queue if it.share is not None]
        rows, size = sum(it.rows for it in shares), sum(it.input_bytes for it in shares)
        return rows > self._limits.rows or size > self._limits.input_bytes

    def _take(self, kind: object) -> list[Asked]:
        """The next call, as large as its limits allow, less who went away; the rest waits behind the other kinds."""
        queue, limits = self._queues.pop(kind), self._limits
        taken = [queue.popleft()]
        first = taken[0].share
        if first is not None:
            rows, size = first.rows, first.input_bytes
            while queue and len(taken) < limits.requests:
                share = queue[0].share
                assert share is not None
                rows, size = rows + share.rows, size + share.input_bytes
                if rows > limits.rows or size > limits.input_bytes:
                    break
                taken.append(queue.popleft())
        if queue:
            self._queues[kind] = queue
        for asked in taken:
            self._left(asked)
        return [it for it in taken if self._still_wanted(it)]

    def _still_wanted(self, asked: Asked) -> bool:
        if not asked.wanted:
            self._in_use.end()
        return asked.wanted

    def _start(self, call: list[Asked]) -> None:
        self._running += 1
        over = partial(self._over, call)
        try:
            self._way.start([it.admitted for it in call], over)
        except Exception as error:  # the server is stopping, or a fault of ours
            log.error("a call of %s could not begin", self._in_use.loaded.name, exc_info=error)
            over([ModelyardError("the server could not run the model; its log says more")] * len(call))

    def _over(self, call: Sequence[Asked], outcomes: Sequence[Outcome]) -> None:
        self._running -= 1
        loaded = self._in_use.loaded
        for asked, outcome in zip(call, outcomes, strict=True):
            self._in_use.end()
            on_answer = asked.on_answer
            if on_answer is None:
                continue
            asked.on_answer = None
            answer = (
                outcome
                if isinstance(outcome, Exception)
                else InferResponse(loaded.name, tuple(outcome), loaded.version, asked.id)
            )
            try:
                on_answer(answer)
            except Exception as error:
                log.error("an answer of %s could not be given", loaded.name, exc_info=error)
        if self._waiting and not self._woken:
            self._woken = True
            self._loop.call_soon(self._pump)
