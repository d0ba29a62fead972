"""The libraries that are not installed by default: which there are, and the sentence for a missing one."""

import importlib.util
from collections.abc import Callable
from typing import TypeVar

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats.content import CATBOOST, LIGHTGBM, MLFLOW, XGBOOST

# By the module that has to be there, which is the name of the extra too.
EXTRAS = {
    XGBOOST: "XGBoost",
    LIGHTGBM: "LightGBM",
    CATBOOST: "CatBoost",
    MLFLOW: "MLflow",
    "skops": "skops",
    "pandas": "pandas",
}
# Those that are formats, and capabilities, of their own. Most MLflow folders are served without MLflow.
FORMATS = (XGBOOST, LIGHTGBM, CATBOOST)

T = TypeVar("T")


def installed() -> tuple[str, ...]:
    """The formats whose library is there, without importing it."""
    return tuple(name for name in FORMATS if importlib.util.find_spec(name) is not None)


def imported(name: str, imports: Callable[[], T], why: str = "") -> T:
    """What `imports` imports. `why`: what needs it, where the format does not say.

    Raises `InvalidInput` where the library is not installed or not usable.
    """
    needed = f"{why}, for which " if why else ""
    try:
        return imports()
    except MemoryError:
        raise
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != name:
            raise InvalidInput(f"{EXTRAS[name]} needs the Python package '{error.name}', which is missing") from None
        missing = f"{needed}{EXTRAS[name]} is not installed where this server runs"
        raise InvalidInput(f"{missing}: `pip install 'modelyard[{name}]'` brings it") from None
    except Exception as error:  # a library of the system that is missing, a version that does not fit
        what = f"{type(error).__name__}: {first_line(error)}"
        raise InvalidInput(f"{EXTRAS[name]} is installed, but cannot be imported: {what}") from None
