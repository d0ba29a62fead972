"""Tensors as raw bytes: numbers little endian and row-major, BYTES elements each behind a 4-byte length."""

import struct
from collections.abc import Iterable

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import shapes
from modelyard.wire.oip.nouns import BYTES, DTYPES, Array

_LENGTH = struct.Struct("<I")


def decode(raw: bytes | memoryview, datatype: str, shape: tuple[int, ...], tensor: str) -> Array:
    """The array in `raw`, without a copy where the datatype allows it."""
    if datatype == BYTES:
        return shapes.give(_decode_bytes(memoryview(raw), tensor), shape, tensor)
    dtype = DTYPES[datatype]
    expected = shapes.count(shape) * dtype.itemsize
    if len(raw) != expected:
        raise InvalidInput(
            f"tensor '{tensor}': {datatype} of shape {list(shape)} takes {expected} bytes, there are {len(raw)}"
        )
    if datatype == "BOOL" and len(raw) and np.frombuffer(raw, dtype=np.uint8).max() > 1:
        raise InvalidInput(f"tensor '{tensor}': raw BOOL contents must be bytes of 0 and 1")
    return shapes.give(np.frombuffer(raw, dtype=dtype), shape, tensor)


def encode(array: Array, datatype: str) -> bytes:
    if datatype != BYTES:
        return np.ascontiguousarray(array, dtype=DTYPES[datatype]).tobytes()
    parts: list[bytes] = []
    for element in array.reshape(-1):
        parts.append(_LENGTH.pack(len(element)))
        parts.append(element)
    return b"".join(parts)


def of_bytes(elements: Iterable[bytes]) -> Array:
    """A flat BYTES array."""
    listed = list(elements)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def _decode_bytes(raw: memoryview, tensor: str) -> Array:
    elements: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        start = at + _LENGTH.size
        if start > end or (at := start + _LENGTH.unpack_from(raw, start - _LENGTH.size)[0]) > end:
            raise InvalidInput(f"tensor '{tensor}': raw BYTES contents end in the middle of an element")
        elements.append(bytes(raw[start:at]))
    return of_bytes(elements)
