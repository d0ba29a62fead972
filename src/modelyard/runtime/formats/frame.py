"""The tensors of a request as a pandas DataFrame, for models that want one: they know their columns by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.frame_columns import Column
from modelyard.runtime.formats.rows import by_column
from modelyard.wire.oip import content_types
from modelyard.wire.oip.cast import cast
from modelyard.wire.oip.content_types import BASE64, DATETIME, NP, Defaults, Value
from modelyard.wire.oip.nouns import BYTES, Array, InferRequest, TensorMetadata


@dataclass(frozen=True, slots=True)
class Frame:
    """A tensor for each column, of shape [rows] or [rows, 1]; or one of any other name with all columns.

    No columns: whatever columns a request has.
    """

    columns: tuple[Column, ...]
    defaults: Defaults = content_types.NONE

    @property
    def inputs(self) -> tuple[TensorMetadata, ...]:
        return tuple(TensorMetadata(it.name, it.datatype or "FP64", (-1, 1)) for it in self.columns)

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        """A flat array for each column: numbers, times, or objects that are text. Raises `InvalidInput`."""
        values = [_texts(it) for it in content_types.decode(request, self.defaults)]
        names = [it.name for it in self.columns]
        if len(values) == 1 and values[0].name not in names and values[0].data.ndim == 2:
            given = self._split(values[0])
        else:
            left_out = {it.name for it in self.columns if it.optional} - {it.name for it in values}
            wanted = [it for it in names if it not in left_out] if names else [it.name for it in values]
            given = by_column(values, wanted)
        known = {it.name: it for it in self.columns}
        return {name: _converted(data, known.get(name) or Column(name)) for name, data in given.items()}

    def given(self, inputs: Mapping[str, Array]) -> Any:
        return pandas.DataFrame(dict(inputs))

    def _split(self, value: Value) -> dict[str, Array]:
        names: Sequence[str] = [it.name for it in self.columns]
        width = value.data.shape[1]
        if not names:
            names = [value.name] if width == 1 else [f"{value.name}-{place}" for place in range(width)]
        if width != len(names):
            raise InvalidInput(f"tensor '{value.name}' has {width} features in a row, the model takes {len(names)}")
        return {name: np.ascontiguousarray(value.data[:, place]) for place, name in enumerate(names)}


def _texts(value: Value) -> Value:
    """BYTES are text, unless they are said to be bytes."""
    data = value.data
    if data.dtype.kind != "O" or not data.size or value.content_type in (NP, BASE64) or isinstance(data.flat[0], str):
        return value
    return Value(value.name, content_types.text(data, value.name), value.content_type)


def _converted(data: Array, column: Column) -> Array:
    """In the column's datatype, by value."""
    if column.content_type == DATETIME and data.dtype.kind == "O":
        return content_types.moments(data, column.name)
    if data.dtype.kind == "O":
        if column.datatype not in (None, BYTES):
            raise InvalidInput(f"tensor '{column.name}': BYTES data cannot be turned into {column.datatype}")
        return data
    if column.datatype is None or data.dtype.kind == "M":
        return data
    if column.datatype == BYTES:
        raise InvalidInput(f"tensor '{column.name}': the model takes text (BYTES) in this column, not {data.dtype}")
    return cast(data, column.datatype, column.name)
