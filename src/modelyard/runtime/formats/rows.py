"""The tensors of a request as one matrix with a row for each example, for models that take tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip.nouns import Array, Tensor

# (data, name of its tensor) to what the model takes.
Convert: TypeAlias = Callable[[Array, str], Array]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a model was fitted with. `features`: how many, where known. `columns`: their names, where they have any.

    One tensor of any name holds all features; a model with named columns also takes a tensor for each.
    """

    features: int | None
    columns: tuple[str, ...]
    convert: Convert

    def fit(self, tensors: Sequence[Tensor]) -> Array:
        """Raises `InvalidInput`, naming the tensor."""
        if len(tensors) == 1 and (tensors[0].name not in self.columns or len(self.columns) == 1):
            return self._whole(tensors[0])
        return self._from_columns(tensors)

    def _whole(self, tensor: Tensor) -> Array:
        """All columns in one tensor."""
        data = tensor.data
        if data.ndim == 0 or (data.ndim == 1 and self.features not in (None, 1)):
            raise InvalidInput(f"tensor '{tensor.name}' has shape {list(data.shape)}, the model takes rows of features")
        if data.ndim >= 2 and self.features is not None and data.shape[1] != self.features:
            raise InvalidInput(
                f"tensor '{tensor.name}' has {data.shape[1]} features in a row, the model takes {self.features}"
            )
        if data.ndim == 1 and self.features == 1:
            data = data.reshape(-1, 1)
        return self.convert(data, tensor.name)

    def _from_columns(self, tensors: Sequence[Tensor]) -> Array:
        """A tensor of shape [rows] or [rows, 1] for each of the model's columns."""
        given = {tensor.name: tensor for tensor in tensors}
        if not self.columns:
            raise InvalidInput(f"the model takes one input tensor, with all features of a row; it got {len(tensors)}")
        for name in given:
            if name not in self.columns:
                raise InvalidInput(f"tensor '{name}' is no column of the model; it has {', '.join(self.columns)}")
        columns: list[Array] = []
        for name in self.columns:
            if name not in given:
                raise InvalidInput(f"input tensor '{name}' is missing; the model has the columns {self.columns}")
            data = self.convert(given[name].data, name)
            rows = data.shape[0] if data.ndim else 0
            if data.shape not in ((rows,), (rows, 1)) or (columns and len(columns[0]) != rows):
                raise InvalidInput(f"tensor '{name}' has shape {list(data.shape)}, a column of equal rows is wanted")
            columns.append(data.reshape(rows))
        return np.column_stack(columns)
