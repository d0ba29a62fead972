"""Whose code does a model run? That of the libraries served here is known to return; a user's may do anything.

So nothing is tried out on a model that brings code of its own, and it gets a process of its own.
"""

from collections.abc import Iterator
from typing import Any

_KNOWN = frozenset({"builtins", "catboost", "functools", "lightgbm", "numpy", "pandas", "scipy", "sklearn", "xgboost"})


def code_of(estimator: Any) -> str | None:
    """The first class or function, as `module.Name`, in the estimator and its steps that is no library's; None: all
    are."""
    for it in _parts(estimator):
        kind = it if callable(it) and hasattr(it, "__qualname__") else type(it)
        module = str(getattr(kind, "__module__", None) or "builtins")
        if module.partition(".")[0] not in _KNOWN:
            return f"{module}.{kind.__qualname__}"
    return None


def _parts(estimator: Any) -> Iterator[Any]:
    yield estimator
    steps = getattr(estimator, "get_params", None)
    if steps is None:
        return
    try:
        yield from steps(deep=True).values()
    except Exception:  # an estimator that breaks scikit-learn's rules is somebody's own
        yield _parts
