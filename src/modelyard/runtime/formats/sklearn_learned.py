"""What the first steps of a fitted scikit-learn model learned of its columns: words, categories, middles. Pure."""

from typing import Any

from modelyard.runtime.acceleration import domain
from modelyard.runtime.acceleration.domain import Column
from modelyard.wire.oip.example import Scalar

_MOST_WORDS = 3  # of a sentence


def columns(estimator: Any) -> list[Column]:
    """One for each column that the model takes; none where it does not tell."""
    steps = _before_the_last(estimator)
    if steps is None:
        return []
    try:
        return domain.of(steps)
    except MemoryError:
        raise
    except Exception:  # of steps that are users' own anything may come, and an example is not worth a load
        return []


def value(column: Column) -> Scalar:
    """One that the model knows, from the middle of what it learned."""
    if column.text:
        return " ".join(column.words[:_MOST_WORDS]) if column.sentences else column.words[0]
    if not column.values:
        return 0.0
    middle = sorted(column.values)[len(column.values) // 2]
    return float(f"{middle:.6g}") if column.strange else middle


def _before_the_last(estimator: Any) -> Any:
    """The last step takes any numbers, and to go through its trees may take long."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if hasattr(estimator, "steps") and hasattr(estimator, "predict"):
        return estimator[:-1] if len(estimator.steps) > 1 else None
    return estimator if hasattr(estimator, "transform") and not hasattr(estimator, "predict") else None
