"""An example request for a model, made from its inputs: one row of zeros (empty text, false) for each. Pure."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from modelyard.wire.oip.nouns import TensorMetadata

# More than this nobody wants to read.
MOST_VALUES = 1000


# For a model that does not say what it takes.
_SOMETHING = TensorMetadata("x", "FP64", (1, 1))


def request(inputs: Sequence[TensorMetadata]) -> dict[str, Any]:
    tensors = inputs or [_SOMETHING]
    return {"inputs": [{**_head(it), "data": [zero(it.datatype)] * math.prod(shape(it))} for it in tensors]}


def shortened(inputs: Sequence[TensorMetadata]) -> dict[str, Any]:
    """For reading: with `…` in place of data that is long."""
    return {"inputs": [{**_head(it), "data": _data(it)} for it in inputs or [_SOMETHING]]}


def is_long(inputs: Iterable[TensorMetadata]) -> bool:
    return any(math.prod(shape(it)) > MOST_VALUES for it in inputs)


def shape(it: TensorMetadata) -> list[int]:
    """A dimension that may vary is 1."""
    return [1 if size < 0 else size for size in it.shape] or [1]


def zero(datatype: str) -> Any:
    if datatype == "BYTES":
        return ""
    if datatype == "BOOL":
        return False
    return 0.0 if datatype.startswith("FP") else 0


def _head(it: TensorMetadata) -> dict[str, Any]:
    return {"name": it.name, "shape": shape(it), "datatype": it.datatype}


def _data(it: TensorMetadata) -> list[Any]:
    count = math.prod(shape(it))
    return ["…"] if count > MOST_VALUES else [zero(it.datatype)] * count
