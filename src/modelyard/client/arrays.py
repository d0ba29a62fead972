"""Arrays to tensors: numpy types to V2 datatypes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip.nouns import BYTES, DATATYPES, Tensor


def tensor_of(name: str, values: ArrayLike) -> Tensor:
    """The tensor of anything that numpy takes. Text becomes BYTES in UTF-8.

    Raises `InvalidInput` for what the protocol has no datatype for (complex numbers, dates, ragged lists).
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidInput(f"input {name!r} is not an array: {error}") from None
    if array.dtype.kind in "USO":
        return Tensor(name, BYTES, _bytes(name, array))
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    datatype = DATATYPES.get(array.dtype)
    if datatype is None:
        known = ", ".join(sorted(str(it) for it in DATATYPES))
        raise InvalidInput(f"input {name!r} has the type {array.dtype}, which V2 does not know; there are {known}")
    return Tensor(name, datatype, array)


def check_for_json(tensors: Iterable[Tensor]) -> None:
    """Infinity would be written as null, and read as NaN. Raises `InvalidInput`."""
    for it in tensors:
        if it.data.dtype.kind == "f" and np.isinf(it.data).any():
            raise InvalidInput(f"input {it.name!r} holds infinity, which JSON cannot carry: use protocol='grpc'")


def _bytes(name: str, array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    flat = np.empty(array.size, dtype=object)
    for index, element in enumerate(array.reshape(-1).tolist()):
        if isinstance(element, str):
            flat[index] = element.encode()
        elif isinstance(element, bytes):
            flat[index] = element
        else:
            raise InvalidInput(f"input {name!r} holds {type(element).__name__}; text, bytes or numbers are wanted")
    return flat.reshape(array.shape)
