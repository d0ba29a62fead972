"""What the first steps of a fitted scikit-learn model learned of its columns: words, categories, middles. Pure."""

from typing import Any

from modelyard.runtime.acceleration import domain
from modelyard.runtime.acceleration.domain import Column
from modelyard.wire.oip.example import Scalar

_MOST_WORDS = 3  # of a sentence


# Where a model keeps the fitted one, or several, to which it passes its columns on.
_WITHIN = ("best_estimator_", "regressor_", "estimators_", "calibrated_classifiers_", "estimator")
_MOST_DEPTH = 5


def columns(estimator: Any) -> list[Column]:
    """One for each column that the model takes; none where it does not tell."""
    try:
        steps = _before_the_last(estimator)
        found = domain.of(steps) if steps is not None else []
    except MemoryError:
        raise
    except Exception:  # of what is users' own anything may come, and an example is not worth a load
        return []
    return found if getattr(estimator, "n_features_in_", len(found)) == len(found) else []


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
    for _ in range(_MOST_DEPTH):
        if hasattr(estimator, "steps") and hasattr(estimator, "predict"):
            return estimator[:-1] if len(estimator.steps) > 1 else None
        if hasattr(estimator, "transform") and not hasattr(estimator, "predict"):
            return estimator
        estimator = _within(estimator)
    return None


def _within(estimator: Any) -> Any:
    for name in _WITHIN:
        found = getattr(estimator, name, None)
        if isinstance(found, list):
            found = next(iter(found), None)
        if found is not None:
            return found
    return None
