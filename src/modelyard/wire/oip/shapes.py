"""A tensor's shape against its data."""

import math
from collections.abc import Sequence
from typing import Any

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip.nouns import Array

MOST_DIMENSIONS = 32
_USUAL = (list, tuple)  # asking for a Sequence takes longer than all the rest


def check(shape: Any, tensor: str) -> tuple[int, ...]:
    """The shape, known to be a sequence of whole numbers that are not negative."""
    listed = type(shape) in _USUAL or (isinstance(shape, Sequence) and not isinstance(shape, str | bytes))
    if not listed or len(shape) > MOST_DIMENSIONS:
        raise InvalidInput(f"tensor '{tensor}': 'shape' must be a list of at most {MOST_DIMENSIONS} whole numbers")
    for size in shape:
        if type(size) is not int or not 0 <= size < 1 << 63:
            raise InvalidInput(f"tensor '{tensor}': 'shape' must hold whole numbers, not negative, and has {size!r}")
    return tuple(shape)


def count(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def give(flat: Array, shape: tuple[int, ...], tensor: str) -> Array:
    """The elements in that shape."""
    if flat.size != count(shape):
        raise InvalidInput(
            f"tensor '{tensor}': shape {list(shape)} means {count(shape)} elements, the data holds {flat.size}"
        )
    try:
        return flat.reshape(shape)
    except (ValueError, OverflowError):  # an empty tensor of absurd other dimensions
        raise InvalidInput(f"tensor '{tensor}': shape {list(shape)} is too large") from None
