"""Processes known by pid *and* the time they began, so that a pid that was given out again is never mistaken.

`end` is for processes that may not be our children: those that a killed `modelyard up` left behind.
"""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

# The kernel tells the beginning in ticks since boot; adjusting the clock moves the sum by a little.
SAME_BEGINNING_SECONDS = 2.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ProcessId:
    pid: int
    create_time: float  # seconds since the epoch

    def is_alive(self) -> bool:
        """Running, and the very process that was meant. A zombie counts as gone: it holds nothing."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return abs(process.create_time() - self.create_time) < SAME_BEGINNING_SECONDS
        except psutil.Error:
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send to its whole process group where it leads one (our parts do), else to itself; gone is fine."""
        if not self.is_alive():
            return
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)


def identify(pid: int) -> ProcessId | None:
    """None: no such process any more."""
    try:
        return ProcessId(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def end(processes: Sequence[ProcessId], *, patience_seconds: float) -> None:
    """Ask all to end, wait, then kill what is left. Returns when every one is gone."""
    for process in processes:
        process.signal(signal.SIGTERM)
    if not wait_until_gone(processes, patience_seconds):
        for process in processes:
            process.signal(signal.SIGKILL)
        wait_until_gone(processes, patience_seconds)


def wait_until_gone(processes: Sequence[ProcessId], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(process.is_alive() for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
