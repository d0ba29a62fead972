"""An example request for a model, made from its inputs: one row of what is known of each, else zeros. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from modelyard.wire.oip.nouns import BYTES, TensorMetadata

Scalar: TypeAlias = bool | int | float | str
# What an input may hold, flat, by the input's name: in `shape`, so as many as that has elements.
Values: TypeAlias = Mapping[str, tuple[Scalar, ...]]

NONE: Values = {}
# More than this nobody wants to read.
MOST_VALUES = 1000


# For a model that does not say what it takes.
_SOMETHING = TensorMetadata("x", "FP64", (1, 1))


def request(inputs: Sequence[TensorMetadata], values: Values = NONE) -> dict[str, Any]:
    return {"inputs": [{**_head(it), "data": data(it, values)} for it in inputs or [_SOMETHING]]}


def shortened(inputs: Sequence[TensorMetadata]) -> dict[str, Any]:
    """For reading: with `…` in place of data that is long."""
    tensors = inputs or [_SOMETHING]
    return {"inputs": [{**_head(it), "data": ["…"] if is_long([it]) else data(it, NONE)} for it in tensors]}


def data(it: TensorMetadata, values: Values) -> list[Scalar]:
    known = values.get(it.name, ())
    return list(known) if len(known) == count(it) else [zero(it.datatype)] * count(it)


def is_long(inputs: Iterable[TensorMetadata]) -> bool:
    return any(count(it) > MOST_VALUES for it in inputs)


def shape(it: TensorMetadata) -> list[int]:
    """A dimension that may vary is 1."""
    return [1 if size < 0 else size for size in it.shape] or [1]


def count(it: TensorMetadata) -> int:
    return math.prod(shape(it))


def zero(datatype: str) -> Scalar:
    return "" if datatype == BYTES else scalar(0, datatype)


def scalar(value: Any, datatype: str) -> Scalar:
    """The value as JSON of the datatype. Raises `ValueError` or `TypeError` where it cannot be."""
    if datatype == BYTES:
        return str(value)
    if datatype == "BOOL":
        return bool(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("an example is a number")
    return number if datatype.startswith("FP") else int(number)


def _head(it: TensorMetadata) -> dict[str, Any]:
    return {"name": it.name, "shape": shape(it), "datatype": it.datatype}
