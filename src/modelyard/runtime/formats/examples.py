"""An example of what a model takes, found when it is loaded, so that the request on its page works as it is.

From the first that knows: an MLflow folder's `input_example`, the fitted model; else zeros, else ones. The model is
asked whether it takes it, unless it is code of somebody's, which nobody but its users should call.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import mlflow_folder
from modelyard.runtime.formats.artifact import Found
from modelyard.runtime.formats.content import MLMODEL
from modelyard.runtime.model import Model
from modelyard.wire.oip import example, rest
from modelyard.wire.oip.content_types import DATETIME
from modelyard.wire.oip.example import Values
from modelyard.wire.oip.nouns import TensorMetadata

_MOST_BYTES = 1 << 20
_MOMENT = "2026-01-01T12:00:00"


def of(model: Model, folder: Path, found: Found, *, ask: bool) -> Values:
    """`folder`: of the model, in which `found` was found. `ask`: whether the model may be asked."""
    inputs = model.signature.inputs
    if not inputs or example.is_long(inputs):
        return example.NONE
    moments = {it.name: (_MOMENT,) for it in found.settings.inputs if it.content_type == DATETIME}
    for known in _candidates(model, folder, found):
        values = {**moments, **known}
        if not ask or _takes(model, values):
            return values
    return moments


def placed(inputs: Sequence[TensorMetadata], names: Sequence[str], row: Sequence[Any]) -> Values:
    """A row of a table whose columns have these names, as the model's inputs: each a column, or one for all."""
    try:
        if len(inputs) == 1:
            (it,) = inputs
            return {it.name: tuple(example.scalar(value, it.datatype) for value in row)}
        known = dict(zip(names, row, strict=True))
        return {it.name: (example.scalar(known[it.name], it.datatype),) for it in inputs if it.name in known}
    except (ValueError, TypeError, OverflowError):
        return example.NONE


def _candidates(model: Model, folder: Path, found: Found) -> Iterator[Values]:
    inputs = model.signature.inputs
    if values := _of_mlflow(inputs, folder, found):
        yield values
    if values := getattr(model, "example", example.NONE):
        yield values
    yield example.NONE
    yield {it.name: (example.scalar(1, it.datatype),) * example.count(it) for it in inputs}


def _takes(model: Model, values: Values) -> bool:
    signature = model.signature
    try:
        with np.errstate(all="ignore"):
            request = rest.decode_request(orjson.dumps(example.request(signature.inputs, values)))
            model.predict(model.fit(request), signature.usual)
    except MemoryError:
        raise
    except BaseException:  # also SystemExit, which would end the thread that loads
        return False
    return True


def _of_mlflow(inputs: Sequence[TensorMetadata], folder: Path, found: Found) -> Values:
    root = folder.resolve()
    path = found.path.resolve()
    above = (it for it in (path, *path.parents) if it.is_relative_to(root))
    home = next((it for it in above if (it / MLMODEL).is_file()), None)
    if home is None:
        return example.NONE
    try:
        named = mlflow_folder.parse((home / MLMODEL).read_text(errors="replace")).example
        file = (home / named).resolve()
        if not named or not file.is_relative_to(home) or file.stat().st_size > _MOST_BYTES:
            return example.NONE
        return of_mlflow(inputs, json.loads(file.read_bytes()))
    except (OSError, ValueError, InvalidInput, RecursionError):
        return example.NONE


def of_mlflow(inputs: Sequence[TensorMetadata], said: Any) -> Values:
    """`said`: an `input_example.json`: a table as `{"columns", "data"}`, an array or arrays by name below `inputs`."""
    if not isinstance(said, dict):
        return example.NONE
    columns, rows, tensors = said.get("columns"), said.get("data"), said.get("inputs")
    if isinstance(columns, list) and isinstance(rows, list) and rows and isinstance(rows[0], list):
        return placed(inputs, [str(it) for it in columns], rows[0]) if len(columns) == len(rows[0]) else example.NONE
    if isinstance(tensors, list) and len(inputs) == 1:
        tensors = {inputs[0].name: tensors}
    if not isinstance(tensors, dict):
        return example.NONE
    found: dict[str, tuple[example.Scalar, ...]] = {}
    for it in inputs:
        given = tensors.get(it.name)
        flat = list(_flat(given[0] if isinstance(given, list) and given and len(it.shape) > 1 else given))
        found |= placed([it], (), flat)
    return found


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for it in value:
            yield from _flat(it)
    else:
        yield value
