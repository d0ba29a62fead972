"""Boosters of whichever library: rows of numbers in, or of columns; rows of numbers, or of labels, out."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats import outputs as answers
from modelyard.runtime.formats.rows import INPUT, Rows, Table
from modelyard.runtime.formats.settings import Settings
from modelyard.runtime.model import Signature
from modelyard.wire.oip.cast import cast
from modelyard.wire.oip.nouns import BYTES, DTYPES, Array, InferRequest, Tensor, TensorMetadata

# Of what the table makes of a request's rows.
Predict: TypeAlias = Callable[[Any], Any]


def of_numbers(datatype: str, features: int, columns: Sequence[str], settings: Settings) -> Rows:
    """A table of numbers only."""
    described = settings.described(TensorMetadata(INPUT, datatype, (-1, features)), columns)
    return Rows(features, tuple(columns), partial(_numbers, datatype), settings.content_types, described)


def of_binary(probabilities: Any) -> Any:
    """A column for each of two classes, from the probability of the second."""
    return np.column_stack([1 - probabilities, probabilities])


class BoosterModel:
    quick = False

    def __init__(
        self,
        platform: str,
        table: Table,
        outputs: Mapping[str, Predict],
        refusals: tuple[type[Exception], ...],
    ) -> None:
        """`outputs`: the first is the usual one. `refusals`: how the library refuses rows that it is given."""
        self._table = table
        self._outputs = outputs
        self._refusals = refusals
        # The names of the columns, where they may come one by one.
        self.columns: tuple[str, ...] = table.columns if isinstance(table, Rows) else ()
        # One prediction tells the outputs' types and widths, and pays what a first prediction pays.
        sample = InferRequest(tuple(Tensor(it.name, it.datatype, _sample(it)) for it in table.inputs))
        found = self.predict(table.fit(sample), tuple(outputs))
        self.signature = Signature(
            platform=platform,
            inputs=table.inputs,
            outputs=tuple(TensorMetadata(it.name, it.datatype, (-1, *it.data.shape[1:])) for it in found),
            usual=(next(iter(outputs)),),
        )

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        fitted = self._table.fit(request)
        rows = fitted.get(INPUT)
        if rows is not None and (rows.ndim != 2 or not len(rows)):
            raise InvalidInput(
                f"tensor '{request.inputs[0].name}' has shape {list(rows.shape)}, the model takes rows of features"
            )
        return fitted

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        given = self._table.given(inputs)
        return [self._output(name, given) for name in outputs]

    def _output(self, name: str, given: Any) -> Tensor:
        try:
            found = self._outputs[name](given)
        except self._refusals as error:
            raise InvalidInput(f"the model refused the input tensor: {first_line(error)}") from None
        return answers.tensor(name, found)


def _sample(it: TensorMetadata) -> Array:
    shape = tuple(1 if size == -1 else size for size in it.shape)
    return np.full(shape, b"0", dtype=object) if it.datatype == BYTES else np.zeros(shape, DTYPES[it.datatype])


def _numbers(datatype: str, data: Array, tensor: str) -> Array:
    return cast(data, datatype, tensor)
