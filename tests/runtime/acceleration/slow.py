"""Models that behave in the child only; pickled in tests, unpickled by the runtime and its child."""

import sys
import time
from typing import Any


def _in_child() -> bool:
    return "modelyard.runtime.acceleration.child" in sys.orig_argv


class Forest:
    """Takes for ever to be unpickled where it is to be compiled."""

    def __init__(self, forest: Any) -> None:
        self.forest = forest

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if _in_child():
            time.sleep(600)

    def predict(self, rows: Any) -> Any:
        return self.forest.predict(rows)


class Hungry(Forest):
    """Takes a gigabyte there."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if _in_child():
            self.ballast = bytearray(1 << 30)
