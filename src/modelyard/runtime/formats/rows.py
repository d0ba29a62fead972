"""The tensors of a request as one matrix with a row for each example, for models that take tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import content_types
from modelyard.wire.oip.content_types import STR, Defaults, Value
from modelyard.wire.oip.nouns import Array, InferRequest, TensorMetadata

# (data, name of its tensor) to what the model takes.
Convert: TypeAlias = Callable[[Array, str], Array]

INPUT = "predict"


class Table(Protocol):
    """How a model takes its rows. `inputs`: of its signature."""

    @property
    def inputs(self) -> tuple[TensorMetadata, ...]: ...

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        """Arrays with a row for each example. Raises `InvalidInput`, naming the tensor."""
        ...

    def given(self, inputs: Mapping[str, Array]) -> Any:
        """What the model's methods take, of what `fit` made of one request or of several."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """A `Table`. `features`: how many the model was fitted with, where known. `columns`: their names, if they have any.

    One tensor of any name holds all features; a model with named columns also takes a tensor for each, and so does any
    model where the request says that each tensor is a column (`pd`).
    """

    features: int | None
    columns: tuple[str, ...]
    convert: Convert
    defaults: Defaults = content_types.NONE
    inputs: tuple[TensorMetadata, ...] = ()

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        """The matrix, under INPUT."""
        values = content_types.decode(request, self.defaults)
        columns = self.columns
        if not columns and len(values) > 1 and content_types.is_table(request, self.defaults):
            columns = tuple(it.name for it in values)
            self._check_count(len(columns))
        if len(values) == 1 and (values[0].name not in columns or len(columns) == 1):
            return {INPUT: self._whole(values[0])}
        if not columns:
            raise InvalidInput(f"the model takes one input tensor, with all features of a row; it got {len(values)}")
        return {INPUT: np.column_stack([self.convert(it, name) for name, it in by_column(values, columns).items()])}

    def given(self, inputs: Mapping[str, Array]) -> Array:
        return inputs[INPUT]

    def _whole(self, value: Value) -> Array:
        """All columns in one tensor."""
        data = value.data
        if data.ndim == 0 or (data.ndim == 1 and self.features not in (None, 1)):
            raise InvalidInput(f"tensor '{value.name}' has shape {list(data.shape)}, the model takes rows of features")
        if data.ndim >= 2 and self.features is not None and data.shape[1] != self.features:
            raise InvalidInput(
                f"tensor '{value.name}' has {data.shape[1]} features in a row, the model takes {self.features}"
            )
        if data.ndim == 1 and self.features == 1:
            data = data.reshape(-1, 1)
        if value.content_type == STR and self.features is None and data.shape[1:] == (1,):
            data = data.reshape(-1)  # a list of texts, which is what takes text takes
        return self.convert(data, value.name)

    def _check_count(self, columns: int) -> None:
        if self.features not in (None, columns):
            raise InvalidInput(f"the request has {columns} columns, the model takes {self.features} features")


def by_column(values: Sequence[Value], columns: Sequence[str]) -> dict[str, Array]:
    """A flat array for each column, of tensors of shape [rows] or [rows, 1]. Raises `InvalidInput`."""
    given = {it.name: it.data for it in values}
    for name in given:
        if name not in columns:
            raise InvalidInput(f"tensor '{name}' is no column of the model; it has {', '.join(columns)}")
    found: dict[str, Array] = {}
    expected = -1
    for name in columns:
        if name not in given:
            raise InvalidInput(f"input tensor '{name}' is missing; the model has the columns {', '.join(columns)}")
        data = given[name]
        rows = data.shape[0] if data.ndim else 0
        if data.shape not in ((rows,), (rows, 1)) or rows != (expected if found else rows):
            raise InvalidInput(f"tensor '{name}' has shape {list(data.shape)}, a column of equal rows is wanted")
        found[name] = data.reshape(rows)
        expected = rows
    return found
