"""One `modelyard up` per state directory: `up.lock`, held by flock, so that it ends with its process.

The file is removed on release. Who waited for the old file may then hold a lock on a file that is no longer there,
hence the second look after locking.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

LOCK_FILE = "up.lock"
TRIES = 5
RETRY_SECONDS = 0.02


class Lock:
    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def acquire(directory: Path) -> Lock | None:
    """None: another process holds it, and not only for the moment that `holder` takes."""
    path = directory / LOCK_FILE
    refusals = 0
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            refusals += 1
            if refusals == TRIES:
                return None
            time.sleep(RETRY_SECONDS)
            continue
        if _is_still(path, descriptor):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return Lock(path, descriptor)
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def holder(directory: Path) -> int | None:
    """The pid of the process that holds the lock; None when nobody does. 0: it has not written its pid yet."""
    path = directory / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A shared lock, held for a moment: it is refused only while somebody has the exclusive one.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(ValueError):
            return int(os.read(descriptor, 20).decode())
        return 0
    finally:
        os.close(descriptor)
    return None
