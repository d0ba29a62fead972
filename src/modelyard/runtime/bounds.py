"""How much of one model runs at a time, and how much may wait for it."""

from dataclasses import dataclass

MOST_WAITING = 1000
# Of inputs, however few requests they are: a model that is stuck must not fill the server's memory.
MOST_WAITING_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """`max_concurrency`: calls of the model at the same time; None: as many as suit how it runs.

    `max_queue`: requests that wait for their call; whoever comes after them is refused.
    """

    max_concurrency: int | None = None
    max_queue: int = MOST_WAITING
