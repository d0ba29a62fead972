"""What a model's method returned, as tensors: arrays, lists, sparse matrices, data frames."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from modelyard.runtime.errors import ModelFailed, first_line
from modelyard.wire.oip import content_types, raw
from modelyard.wire.oip.content_types import CONTENT_TYPE
from modelyard.wire.oip.nouns import BYTES, DATATYPES, DTYPES, Array, Tensor

TEXT = {CONTENT_TYPE: content_types.STR}
MOMENTS = {CONTENT_TYPE: content_types.DATETIME}


def tensor(name: str, found: Any, *, column: bool = True) -> Tensor:
    """`column`: a flat result becomes a column, as MLServer has it. Text says that it is. Raises `ModelFailed`."""
    try:
        array = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
    except (ValueError, TypeError) as error:
        raise ModelFailed(f"the output '{name}' of the model is no array: {first_line(error)}") from None
    if array.dtype == object and array.size:
        array = _narrowed(array)
    array = array.reshape(-1, 1) if column and array.ndim == 1 else array
    match array.dtype.kind:
        case "O" | "U" | "S":
            return _of_bytes(name, array)
        case "M":
            texts = (str(it).encode() for it in array.reshape(-1).astype("datetime64[us]"))
            return Tensor(name, BYTES, raw.of_bytes(texts).reshape(array.shape), MOMENTS)
        case "f" if array.dtype not in DATATYPES:  # long doubles
            array = array.astype(DTYPES["FP64"])
    datatype = DATATYPES.get(array.dtype.newbyteorder("<"))
    if datatype is None:
        raise ModelFailed(f"the output '{name}' of the model is of the type {array.dtype}, which V2 has no name for")
    return Tensor(name, datatype, array.astype(DTYPES[datatype], copy=False))


def of_frame(frame: Any) -> list[Tensor]:
    """A tensor for each column, of shape [rows, 1]."""
    return [tensor(str(name), frame[name].to_numpy()) for name in frame.columns]


def _narrowed(array: Array) -> Array:
    """Objects that are all numbers, or all times, are those."""
    kinds = {type(it) for it in array.reshape(-1).tolist()}
    if kinds & {str, bytes, type(None)}:
        return array
    try:
        narrowed = np.array(array.tolist())
    except (ValueError, TypeError, OverflowError):
        return array
    return narrowed if narrowed.shape == array.shape and narrowed.dtype.kind in "biufM" else array


def _of_bytes(name: str, array: Array) -> Tensor:
    elements: list[Any] = array.reshape(-1).tolist()
    data = raw.of_bytes(_encoded(elements)).reshape(array.shape)
    return Tensor(name, BYTES, data, {} if elements and all(isinstance(it, bytes) for it in elements) else TEXT)


def _encoded(elements: Iterable[Any]) -> Iterable[bytes]:
    return (it if isinstance(it, bytes) else str(it).encode(errors="replace") for it in elements)
