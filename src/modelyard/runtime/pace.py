"""Is a model quick enough to run on the event loop, where everything else waits for it? Pure.

A call on the loop spares two changes of thread, which cost a small model half of its throughput; a slow one there would
hold up all others. So a model has to show that it is quick, in a thread, and leaves the loop when it is no more. What
counts is CPU time: on a busy machine a quick call may take long by the clock.
"""

from dataclasses import dataclass

TRIALS = 3
QUICK_SECONDS = 0.001
SLOW_SECONDS = 0.002
_WEIGHT = 0.25  # of the latest call in the average
# More input than this runs in a thread whatever was seen: to copy it takes a while too.
LARGE_BYTES = 1 << 20


@dataclass(slots=True)
class Pace:
    """`seconds`: of CPU that a call takes on average, the latest weighing most."""

    on_loop: bool = False
    calls: int = 0
    seconds: float = 0.0

    def saw(self, seconds: float) -> None:
        """One call took this long."""
        self.calls += 1
        if self.calls <= TRIALS:  # the first one pays for what is done once: the least of them counts
            self.seconds = seconds if self.calls == 1 else min(self.seconds, seconds)
        else:
            self.seconds += _WEIGHT * (seconds - self.seconds)
        if self.on_loop:
            self.on_loop = self.seconds <= SLOW_SECONDS
        else:
            self.on_loop = self.calls >= TRIALS and self.seconds <= QUICK_SECONDS
