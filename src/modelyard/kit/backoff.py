"""Waiting longer after each failure, with jitter so that many who failed together do not return together."""

import random
from collections.abc import Callable, Iterator


def delays(
    first_seconds: float, most_seconds: float, *, jitter: Callable[[], float] = random.random
) -> Iterator[float]:
    """Seconds to wait before each next try: doubling up to `most_seconds`, each shortened by up to a quarter."""
    wait = first_seconds
    while True:
        yield wait * (1 - 0.25 * jitter())
        wait = min(wait * 2, most_seconds)
