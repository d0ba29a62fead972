"""Models that behave in ways that a test needs; pickled here, unpickled by the runtime's process."""

import sys
import time
from pathlib import Path
from typing import Any


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
