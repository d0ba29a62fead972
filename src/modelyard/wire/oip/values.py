"""Tensors as JSON values: lists, nested as the shape says or flat.

JSON has neither NaN nor infinity: both are written as null, and null in a floating-point tensor is read as NaN.
BYTES are strings; what is not UTF-8 goes as base64 with the tensor parameter `content_type: base64`.
"""

import base64
import binascii
from itertools import chain
from typing import Any

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import raw, shapes
from modelyard.wire.oip.cast import cast
from modelyard.wire.oip.content_types import BASE64, CONTENT_TYPE
from modelyard.wire.oip.nouns import BYTES, Array

_LARGEST_FP32 = float(np.finfo(np.float32).max)
_FEW = 64
_NUMBERS = {int, float, bool}


def decode(data: Any, datatype: str, shape: tuple[int, ...], tensor: str, *, from_base64: bool = False) -> Array:
    flat = _flatten(data, shape, tensor)
    # The kinds first: numpy would take "2" for a number, and pad strings to the longest.
    kinds = set(map(type, flat))
    if datatype == BYTES:
        if not kinds <= {str}:
            raise InvalidInput(f"tensor '{tensor}': BYTES data must be strings")
        return shapes.give(raw.of_bytes(_bytes_of(flat, from_base64, tensor)), shape, tensor)
    if type(None) in kinds and datatype.startswith("FP"):
        flat = [float("nan") if value is None else value for value in flat]
        kinds = kinds - {type(None)} | {float}
    elif datatype == "FP32" and kinds == {float} and len(flat) <= _FEW and max(map(abs, flat)) <= _LARGEST_FP32:
        return shapes.give(np.array(flat, dtype=np.float32), shape, tensor)  # a row of features, the cheapest way
    if not kinds <= _NUMBERS:
        raise InvalidInput(f"tensor '{tensor}': {datatype} data must be numbers")
    array = np.array(flat, dtype=np.float64) if float in kinds else _integers(flat, datatype, tensor)
    return shapes.give(cast(array, datatype, tensor), shape, tensor)


def encode(array: Array, datatype: str) -> tuple[Any, dict[str, Any]]:
    """The flat data, for orjson with its numpy option, and the tensor parameters that it needs."""
    flat = array.reshape(-1)
    if datatype == BYTES:
        try:
            return [element.decode() for element in flat], {}
        except UnicodeDecodeError:
            return [base64.b64encode(element).decode() for element in flat], {CONTENT_TYPE: BASE64}
    if datatype == "FP16":
        flat = flat.astype(np.float32)
    return np.ascontiguousarray(flat), {}


def _flatten(data: Any, shape: tuple[int, ...], tensor: str) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidInput(f"tensor '{tensor}': 'data' must be a list")
    sizes = [len(data)]
    while data and isinstance(data[0], list):
        if set(map(type, data)) != {list} or len(set(map(len, data))) != 1:
            raise InvalidInput(f"tensor '{tensor}': the lists in 'data' are not all of the same length")
        sizes.append(len(data[0]))
        data = list(chain.from_iterable(data))
    flat: list[Any] = data
    if len(sizes) > 1 and tuple(sizes) != shape:
        raise InvalidInput(f"tensor '{tensor}': 'data' is nested as {sizes}, its shape says {list(shape)}")
    return flat


def _integers(flat: list[int], datatype: str, tensor: str) -> Array:
    # Without a dtype numpy makes floats of a mixture of small and very large integers.
    try:
        return np.array(flat, dtype=np.int64)
    except OverflowError:
        pass
    if min(flat) >= 0:
        return np.array(flat, dtype=np.uint64)
    if datatype.startswith("FP"):
        return np.array(flat, dtype=np.float64)
    raise InvalidInput(f"tensor '{tensor}': {min(flat)} and {max(flat)} do not both fit {datatype}")


def _bytes_of(flat: list[str], from_base64: bool, tensor: str) -> list[bytes]:
    try:
        if from_base64:
            return [base64.b64decode(text, validate=True) for text in flat]
        return [text.encode() for text in flat]
    except (binascii.Error, ValueError) as error:  # ValueError: letters outside ASCII
        raise InvalidInput(f"tensor '{tensor}': {error}") from None
