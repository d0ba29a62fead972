"""Does a model answer a row as it would answer it alone? Tried out on drawn rows when the model is loaded.

A graph may mix the rows that it is given (a mean over all of them, a first dimension that is the length of a text and
not a number of rows); batched, clients would then get answers made of each other's data, which no shape gives away.
"""

from enum import Enum

import numpy as np

from modelyard.runtime import batching
from modelyard.runtime.model import Model
from modelyard.wire.oip.nouns import BYTES, DTYPES, Array, InferRequest, Tensor, TensorMetadata

ROWS = 3
FREE_DIMENSION = 8  # where the signature leaves a size open
# Kernels add up in another order for several rows than for one, so the last bits may differ; more than that may not.
TOLERANCE = 1e-3
TOLERANCE_FP16 = 1e-2


class Rows(Enum):
    INDEPENDENT = "its rows do not depend on each other"
    MIXED = "its answer to a row depends on the other rows"
    UNKNOWN = "it did not take the rows that were drawn to try it out"


def try_out(model: Model) -> Rows:
    """Two orders of three rows, each as one call, against each row alone."""
    with np.errstate(all="ignore"):  # what was drawn may be far from what the model was made for
        return _try_out(model)


def _try_out(model: Model) -> Rows:
    outputs = [it.name for it in model.signature.outputs]
    try:
        drawn = [model.fit(_draw(model, np.random.default_rng(seed))) for seed in range(ROWS)]
        alone = [model.predict(row, outputs) for row in drawn]
    except MemoryError:
        raise
    except BaseException:  # also SystemExit, which would end the thread that loads
        return Rows.UNKNOWN
    for order in (range(ROWS), reversed(range(ROWS))):
        places = list(order)
        try:
            found = model.predict(batching.join([drawn[place] for place in places]), outputs)
        except MemoryError:
            raise
        except BaseException:
            return Rows.MIXED
        parts = batching.split(found, [1] * ROWS)
        if parts is None or not all(
            _same(mine, expected)
            for part, place in zip(parts, places, strict=True)
            for mine, expected in zip(part, alone[place], strict=True)
        ):
            return Rows.MIXED
    return Rows.INDEPENDENT


def _draw(model: Model, random: np.random.Generator) -> InferRequest:
    return InferRequest(tuple(Tensor(it.name, it.datatype, _tensor(it, random)) for it in model.signature.inputs))


def _tensor(wanted: TensorMetadata, random: np.random.Generator) -> Array:
    shape = (1, *(FREE_DIMENSION if size == -1 else size for size in wanted.shape[1:]))
    if wanted.datatype == BYTES:
        words = np.array([b"a", b"b", b"red", b"1"], dtype=object)
        return np.asarray(random.choice(words, shape), dtype=object)
    dtype = DTYPES[wanted.datatype]
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    return random.integers(0, 2, shape).astype(dtype)  # small enough for an index


def _same(mine: Tensor, expected: Tensor) -> bool:
    left, right = mine.data, expected.data
    if left.shape != right.shape:
        return False
    if left.dtype.kind != "f":
        return np.array_equal(left, right)
    tolerance = TOLERANCE_FP16 if left.dtype.itemsize == 2 else TOLERANCE
    finite = np.abs(right[np.isfinite(right)])
    largest = float(finite.max()) if finite.size else 0.0
    return np.allclose(left, right, rtol=0, atol=tolerance * largest, equal_nan=True)
