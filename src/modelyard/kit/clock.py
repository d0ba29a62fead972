"""Time as the edge reads it. Pure code never does: it is given `now`, in seconds since the epoch."""

import time


def now() -> float:
    """Seconds since the epoch."""
    return time.time()
