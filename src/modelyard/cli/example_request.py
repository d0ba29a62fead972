"""An example request for a model, made from its metadata."""

import json
import math
from typing import Any

from modelyard.wire.oip.nouns import ModelMetadata, TensorMetadata

_MOST_VALUES = 1000


def example_request(metadata: ModelMetadata) -> dict[str, Any]:
    """One row of zeros (empty text, false) for every input; a dimension that may vary is 1."""
    return {"inputs": [_tensor(it) for it in metadata.inputs]}


def example_command(metadata: ModelMetadata) -> str:
    name = metadata.name.rpartition("_")[0] or metadata.name
    return f"modelyard infer {name} -d '{json.dumps(example_request(metadata))}'"


def _tensor(it: TensorMetadata) -> dict[str, Any]:
    shape = [max(size, 1) for size in it.shape] or [1]
    if math.prod(shape) > _MOST_VALUES:
        return {"name": it.name, "shape": shape, "datatype": it.datatype, "data": ["…"]}
    return {"name": it.name, "shape": shape, "datatype": it.datatype, "data": [_zero(it.datatype)] * math.prod(shape)}


def _zero(datatype: str) -> Any:
    if datatype == "BYTES":
        return ""
    if datatype == "BOOL":
        return False
    return 0.0 if datatype.startswith("FP") else 0
