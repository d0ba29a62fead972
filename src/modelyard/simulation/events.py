"""Fake time: what is to happen when, and the seeded chance that decides how long things take."""

import heapq
import itertools
import random
from collections.abc import Callable


class Timeline:
    """Calls happen in the order of their times; the clock jumps from one to the next."""

    def __init__(self, seed: int) -> None:
        self.now = 1_000.0
        self.seed = seed
        self.chance = random.Random(seed)
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), call))

    def soon(self, call: Callable[[], None], most_seconds: float = 0.5) -> None:
        """After a random delay."""
        self.after(self.chance.uniform(0.001, most_seconds), call)

    def next_time(self) -> float | None:
        return self._queue[0][0] if self._queue else None

    def step(self) -> bool:
        """Let the next thing happen; False when nothing is left."""
        if not self._queue:
            return False
        time, _, call = heapq.heappop(self._queue)
        self.now = max(self.now, time)
        call()
        return True


class Line:
    """A one-way connection: what is sent arrives in order, each a little later, unless the line is cut."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._free_at = 0.0
        self.cut = False

    def send(self, call: Callable[[], None], *, survives_cut: bool = False) -> None:
        """`survives_cut`: it is on its way already and arrives late, as it does in real networks."""
        delay = self._timeline.chance.uniform(0.001, 0.3)
        self._free_at = max(self._free_at, self._timeline.now + delay)

        def arrive() -> None:
            if not self.cut or survives_cut:
                call()

        self._timeline.after(self._free_at - self._timeline.now, arrive)
