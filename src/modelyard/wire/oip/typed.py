"""Typed tensor contents of the gRPC protocol, one field per family of datatypes.

Contents in a field that is not the datatype's own are taken by value, as long as they fit.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import raw, shapes
from modelyard.wire.oip.cast import cast
from modelyard.wire.oip.nouns import BYTES, Array

# FP16 has no field: it travels raw only.
FIELDS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
_DTYPES: Mapping[str, np.dtype[Any]] = {
    "bool_contents": np.dtype(np.bool_),
    "int_contents": np.dtype(np.int32),
    "int64_contents": np.dtype(np.int64),
    "uint_contents": np.dtype(np.uint32),
    "uint64_contents": np.dtype(np.uint64),
    "fp32_contents": np.dtype(np.float32),
    "fp64_contents": np.dtype(np.float64),
}


def decode(contents: Any, datatype: str, shape: tuple[int, ...], tensor: str) -> Array:
    """`contents`: an InferTensorContents."""
    filled = [descriptor.name for descriptor, _ in contents.ListFields()]
    if len(filled) > 1:
        raise InvalidInput(f"tensor '{tensor}' has contents in {' and '.join(filled)}: one field is wanted")
    if datatype == "FP16":
        raise InvalidInput(f"tensor '{tensor}': FP16 has no typed contents; send raw_input_contents")
    name = filled[0] if filled else FIELDS[datatype]
    field = getattr(contents, name)
    flat = raw.of_bytes(field) if name == "bytes_contents" else np.array(field, dtype=_DTYPES[name])
    return shapes.give(cast(flat, datatype, tensor), shape, tensor)


def encode(array: Array, datatype: str, contents: Any) -> None:
    """Fill an InferTensorContents. `datatype` is not FP16."""
    getattr(contents, FIELDS[datatype]).extend(array.reshape(-1).tolist())
