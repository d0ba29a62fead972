"""scikit-learn models from .skops files, which name their types: only what skops knows to be harmless is loaded.

So unlike a pickle such a file runs no code of its own, and is loaded where pickles are refused too.
"""

from pathlib import Path
from typing import Any

import skops.io

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line

_NAMED = 5


def read(path: Path) -> Any:
    """Raises `InvalidInput` when it cannot be read, or holds types that skops does not trust."""
    try:
        unknown = skops.io.get_untrusted_types(file=path)
        estimator = None if unknown else skops.io.load(path, trusted=[])
    except MemoryError:
        raise
    except ModuleNotFoundError as error:
        raise InvalidInput(f"{path.name} needs the Python package '{error.name}', which is not installed") from None
    except Exception as error:
        raise InvalidInput(f"skops cannot load {path.name}: {type(error).__name__}: {first_line(error)}") from None
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        named = ", ".join(unknown[:_NAMED]) + more
        raise InvalidInput(f"{path.name} holds types that skops does not trust, so it is not loaded: {named}")
    return estimator
