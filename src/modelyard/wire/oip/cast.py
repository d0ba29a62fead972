"""From one datatype to another by value: a number that the new type cannot hold is an error, rounding is not."""

from typing import Any

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip.nouns import BYTES, DATATYPES, DTYPES, Array


def cast(array: Array, datatype: str, tensor: str) -> Array:
    """`array` as `datatype`. Raises `InvalidInput`, naming the tensor, when a value does not fit."""
    wanted = DTYPES[datatype]
    if array.dtype == wanted:
        return array
    if datatype == BYTES or array.dtype.kind not in "biuf":
        have = DATATYPES.get(array.dtype, str(array.dtype))
        raise InvalidInput(f"tensor '{tensor}': {have} data cannot be turned into {datatype}")
    if array.size == 0:
        return array.astype(wanted)
    if wanted.kind == "f":
        return _to_float(array, wanted, datatype, tensor)
    if array.dtype.kind == "f":
        _check_whole(array, datatype, tensor)
    low, high = (0, 1) if wanted.kind == "b" else (int(np.iinfo(wanted).min), int(np.iinfo(wanted).max))
    # Python's integers compare exactly; float64 has no 2**63 - 1.
    for value in (int(array.min()), int(array.max())):
        if not low <= value <= high:
            raise InvalidInput(f"tensor '{tensor}': {value} does not fit {datatype}, which goes from {low} to {high}")
    return array.astype(wanted)


def _to_float(array: Array, wanted: np.dtype[Any], datatype: str, tensor: str) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(wanted)
    if wanted.itemsize < 8 and not np.isfinite(converted).all():
        lost = np.isinf(converted) & np.isfinite(array)
        if lost.any():
            raise InvalidInput(f"tensor '{tensor}': {array[lost][0]} does not fit {datatype}")
    return converted


def _check_whole(array: Array, datatype: str, tensor: str) -> None:
    whole = np.isfinite(array) & (np.trunc(array) == array)
    if not whole.all():
        raise InvalidInput(f"tensor '{tensor}': {array[~whole][0]} is not a whole number, as {datatype} wants")
