"""Models that behave in ways that a test needs; pickled here, unpickled by the runtime's process."""

import time
from typing import Any


class Sleeps:
    """Answers after as many seconds as the first number of the input says."""

    def predict(self, rows: Any) -> Any:
        time.sleep(float(rows[0][0]))
        return rows


class Fails:
    """Fails by its own fault."""

    def predict(self, _rows: Any) -> Any:
        raise KeyError("a bug\nof the model")


class NoModel:
    """Can do nothing."""
