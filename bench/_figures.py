"""What rounds come to."""

import statistics
from collections.abc import Sequence


def median(rounds: Sequence[float]) -> float:
    return statistics.median(rounds)


def ratio_of(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the rounds' own ratios: noise meets both sides of a round alike."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
