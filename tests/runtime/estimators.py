"""Models that behave in ways that a test needs; pickled here, unpickled by the runtime's process."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


class Waits:
    """Says by one file that it has begun to predict, and goes on when another is there. Answers each row with itself
    and the number of rows in the call."""

    def __init__(self, begun: Path, go: Path) -> None:
        self.begun, self.go = begun, go

    def predict(self, rows: Any) -> Any:
        self.begun.touch()
        deadline = time.monotonic() + 60
        while not self.go.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return [[row[0], len(rows)] for row in rows]


class Fails:
    """Fails by its own fault."""

    def predict(self, _rows: Any) -> Any:
        raise KeyError("a bug\nof the model")


class Ends:
    """Ends the interpreter, where it is not kept from that."""

    def predict(self, _rows: Any) -> Any:
        sys.exit(3)


class EndsWhileUnpickled:
    """The same, as soon as it is loaded."""

    def __reduce__(self) -> Any:
        return sys.exit, (3,)


class NoModel:
    """Can do nothing."""


def doubled(rows: Any) -> Any:
    return rows * 2


class Holds:
    """Holds Python's lock, so that nothing else of its process runs, until somebody opens a named pipe."""

    def __init__(self, begun: Path, pipe: Path) -> None:
        self.begun, self.pipe = begun, pipe

    def predict(self, rows: Any) -> Any:
        self.begun.touch()
        ctypes.PyDLL(None).open(str(self.pipe).encode(), os.O_RDONLY)
        return rows


class Dies:
    """Ends its process as the system does when there is no memory left; says each time that it was asked."""

    def __init__(self, asked: Path) -> None:
        self.asked = asked

    def predict(self, _rows: Any) -> Any:
        with self.asked.open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)


class DiesWhileUnpickled:
    """The same, as soon as it is loaded."""

    def __reduce__(self) -> Any:
        return _die, ()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Large:
    """Takes so many bytes, and so many more when it is used."""

    def __init__(self, size: int, more: int = 0) -> None:
        self.content = np.ones(size, dtype=np.uint8)
        self.more = more

    def predict(self, rows: Any) -> Any:
        self.used = np.ones(self.more, dtype=np.uint8)
        return rows


class Counts:
    """Answers each row with how many there are; fails where one is negative."""

    def predict(self, rows: Any) -> Any:
        if (rows < 0).any():
            raise RuntimeError("a negative row")
        return np.full(len(rows), len(rows))


class HoldsWhileUnpickled:
    """Says by one file that it is being loaded, and holds Python's lock until somebody opens a named pipe."""

    def __init__(self, begun: Path, pipe: Path) -> None:
        self.begun, self.pipe = begun, pipe

    def __reduce__(self) -> Any:
        return _hold, (self.begun, self.pipe)


def _hold(begun: Path, pipe: Path) -> None:
    Holds(begun, pipe).predict(None)
