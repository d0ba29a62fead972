"""What a model's own files say about running requests together: `modelyard-model.json`, or MLServer's
`model-settings.json`, in the model's folder or beside its artifact."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.kit.errors import InvalidInput

OURS = "modelyard-model.json"
MLSERVER = "model-settings.json"
BATCH, MOST_REQUESTS, WAIT_MS = "batch", "max_batch_size", "max_batch_time_ms"
KEYS = (BATCH, MOST_REQUESTS, WAIT_MS)
WAIT_SECONDS = "max_batch_time"  # MLServer's, in seconds

MOST_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """None: nothing said. `max_batch_size`: requests in one call."""

    batch: bool | None = None
    max_batch_size: int | None = None
    wait_seconds: float | None = None


def read(folder: Path, artifact: Path) -> BatchSettings:
    """Our file's word counts before MLServer's. Raises `InvalidInput` for a value that cannot be."""
    ours = _object(folder / OURS)
    theirs = _object(folder / MLSERVER) or _object(artifact.parent / MLSERVER)
    batch = ours.get(BATCH)
    if batch is not None and not isinstance(batch, bool):
        raise InvalidInput(f"{folder.name}: '{BATCH}' in {OURS} must be true or false")
    for found, file in ((ours, OURS), (theirs, MLSERVER)):
        most = found.get(MOST_REQUESTS)
        if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 0):
            raise InvalidInput(f"{folder.name}: '{MOST_REQUESTS}' in {file} must be a number of requests")
    wait = _seconds(ours, WAIT_MS, 1e-3, OURS, folder)
    if wait is None:
        wait = _seconds(theirs, WAIT_SECONDS, 1.0, MLSERVER, folder)
    most = ours.get(MOST_REQUESTS)
    if most is None:
        # 0 is what MLServer's files say when nobody thought of it.
        most = theirs.get(MOST_REQUESTS) or None
    return BatchSettings(batch, most, wait)


def _seconds(found: dict[str, Any], key: str, unit: float, file: str, folder: Path) -> float | None:
    value = found.get(key)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        seconds = value * unit
        if 0 <= seconds <= MOST_WAIT_SECONDS:
            return seconds
    most = round(MOST_WAIT_SECONDS / unit)
    raise InvalidInput(f"{folder.name}: '{key}' in {file} must be a number from 0 to {most}")


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise InvalidInput(f"{path.parent.name}: {path.name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{path.parent.name}: {path.name} must hold a JSON object")
    return found
