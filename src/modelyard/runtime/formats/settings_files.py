"""The settings that lie in a model's folder, read."""

import json
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import settings
from modelyard.runtime.formats.settings import Settings


def read(*folders: Path) -> Settings:
    """Ours over MLServer's, and of each the first folder's over the next one's. None of them needs to be there.

    Raises `InvalidInput`.
    """
    ours = [settings.of_ours(_object(it / settings.OURS)) for it in folders]
    theirs = [settings.of_mlserver(_object(it / settings.MLSERVER)) for it in folders]
    return reduce(Settings.over, (*ours, *theirs))


def _object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path.name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{path.name} must hold a JSON object")
    return found
