"""`modelyard down`: end the system of a state directory, also when its supervisor is gone. What is stored stays."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from modelyard.kit.errors import TimedOut
from modelyard.run import ending, lock, processes, system

# More than the supervisor may take: it has its own bounds for each part.
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05


def down(directory: Path) -> str:
    """Returns when everything is gone, with a sentence that says what was done."""
    pid = _holder(directory)
    if pid is not None:
        _stop(directory, pid)
        return f"stopped; the state is kept in {directory}"
    before = system.read(directory)
    if before is None:
        return f"nothing is running in {directory}"
    # The supervisor was killed. Nobody may start while we clear away what it left.
    held = lock.acquire(directory)
    if held is None:
        raise TimedOut(f"another `modelyard up` began in {directory} meanwhile: run `modelyard down` again")
    try:
        ended = ending.end_parts(before.parts)
        ending.forget(directory)
    finally:
        held.release()
    if not ended:
        return f"nothing was running any more in {directory}"
    return f"stopped what a killed `modelyard up` had left ({', '.join(ended)}); the state is kept in {directory}"


def _stop(directory: Path, pid: int) -> None:
    supervisor = processes.identify(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)  # the lock says that it is the one
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _holder(directory) == pid:
        if time.monotonic() > deadline:
            raise TimedOut(
                f"`modelyard up` (pid {pid}) did not stop within {PATIENCE_SECONDS:.0f} s: see {directory}/logs"
            )
        time.sleep(POLL_SECONDS)
    if supervisor is not None:
        processes.wait_until_gone([supervisor], PATIENCE_SECONDS)


def _holder(directory: Path) -> int | None:
    """Its pid, which a holder writes right after it has the lock."""
    for _ in range(100):
        pid = lock.holder(directory)
        if pid != 0:
            return pid
        time.sleep(POLL_SECONDS)
    raise TimedOut(f"{directory}/{lock.LOCK_FILE} is locked by an unknown process")
