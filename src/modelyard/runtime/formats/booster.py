"""Boosters of whichever library: a matrix of numbers in, a matrix of numbers out."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats.rows import INPUT, Rows
from modelyard.runtime.formats.settings import NOTHING, Settings
from modelyard.runtime.model import Signature
from modelyard.wire.oip.cast import cast
from modelyard.wire.oip.nouns import DATATYPES, DTYPES, Array, InferRequest, Tensor, TensorMetadata

Predict: TypeAlias = Callable[[Array], Any]


class BoosterModel:
    quick = False

    def __init__(
        self,
        platform: str,
        datatype: str,
        features: int,
        columns: Sequence[str],
        outputs: Mapping[str, Predict],
        refusals: tuple[type[Exception], ...],
        settings: Settings = NOTHING,
    ) -> None:
        """`outputs`: the first is the usual one. `refusals`: how the library refuses a matrix that it is given."""
        described = settings.described(TensorMetadata(INPUT, datatype, (-1, features)))
        convert = partial(_numbers, datatype)
        self._rows = Rows(features, tuple(columns), convert, settings.content_types, (described,))
        self._outputs = outputs
        self._refusals = refusals
        # One prediction tells the outputs' types and widths, and pays what a first prediction pays.
        sample = np.zeros((1, features), DTYPES[datatype])
        found = [self._output(name, sample) for name in outputs]
        self.signature = Signature(
            platform=platform,
            inputs=self._rows.inputs,
            outputs=tuple(TensorMetadata(it.name, it.datatype, (-1, *it.data.shape[1:])) for it in found),
            usual=(next(iter(outputs)),),
        )

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        rows = self._rows.fit(request)[INPUT]
        if rows.ndim != 2 or not len(rows):
            raise InvalidInput(
                f"tensor '{request.inputs[0].name}' has shape {list(rows.shape)}, the model takes rows of features"
            )
        return {INPUT: rows}

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        return [self._output(name, inputs[INPUT]) for name in outputs]

    def _output(self, name: str, rows: Array) -> Tensor:
        try:
            found = np.asarray(self._outputs[name](rows))
        except self._refusals as error:
            raise InvalidInput(f"the model refused the input tensor: {first_line(error)}") from None
        found = found.reshape(-1, 1) if found.ndim == 1 else found
        return Tensor(name, DATATYPES[found.dtype], found)


def _numbers(datatype: str, data: Array, tensor: str) -> Array:
    return cast(data, datatype, tensor)
