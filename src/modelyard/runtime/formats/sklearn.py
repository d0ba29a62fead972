"""scikit-learn models, natively: estimators and pipelines from joblib or pickle files.

The names are MLServer's: `predict` is the usual output, and a single input may have any name. A model that was fitted
with named columns takes one tensor per column as well.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn.base  # noqa: F401  # so that no load pays for the import but the first

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import ModelFailed, first_line
from modelyard.runtime.formats import foreign
from modelyard.runtime.formats.rows import Rows
from modelyard.runtime.model import Signature
from modelyard.wire.oip import raw
from modelyard.wire.oip.nouns import BYTES, DATATYPES, Array, InferRequest, Tensor, TensorMetadata

# The methods that may be asked for as outputs; the first that the model has is the usual one.
METHODS = ("predict", "transform", "predict_proba", "predict_log_proba", "decision_function")
INPUT = "predict"

# A server is given arrays, whatever the model was fitted with.
warnings.filterwarnings("ignore", message="X does not have valid feature names")


def read(path: Path) -> "SklearnModel":
    """Unpickle, which runs the artifact's code. Raises `InvalidInput` when the file holds no usable model."""
    try:
        estimator = joblib.load(path)
    except MemoryError:
        raise
    except ModuleNotFoundError as error:
        raise InvalidInput(f"{path.name} needs the Python package '{error.name}', which is not installed") from None
    except BaseException as error:  # also SystemExit, which would end the event loop that waits for this
        raise InvalidInput(f"{path.name} cannot be unpickled: {type(error).__name__}: {first_line(error)}") from None
    return SklearnModel(estimator, path.name)


class SklearnModel:
    quick = False

    def __init__(self, estimator: Any, file: str) -> None:
        self._estimator = estimator
        self.foreign = foreign.code_of(estimator)
        methods = [name for name in METHODS if callable(getattr(estimator, name, None))]
        if not methods:
            raise InvalidInput(f"{file} holds a {type(estimator).__name__}, which has no 'predict' or 'transform'")
        features: int | None = getattr(estimator, "n_features_in_", None)
        self._rows = Rows(features, tuple(map(str, getattr(estimator, "feature_names_in_", ()))), _plain)
        width = features if features is not None else -1
        self.signature = Signature(
            platform="sklearn",
            inputs=(TensorMetadata(INPUT, "FP64", (-1, width)),),
            outputs=tuple(_describe(name, estimator) for name in methods),
            usual=(methods[0],),
        )

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        return {INPUT: self._rows.fit(request.inputs)}

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        rows = inputs[INPUT]
        return [self._output(name, rows) for name in outputs]

    def _output(self, name: str, rows: Array) -> Tensor:
        try:
            found = getattr(self._estimator, name)(rows)
        except ValueError as error:  # how scikit-learn refuses its input
            raise InvalidInput(f"the model refused the input tensor: {first_line(error)}") from None
        return _tensor(name, found)


def _plain(data: Array, tensor: str) -> Array:
    """What scikit-learn takes: text instead of bytes, and memory that it may write to."""
    if data.dtype == object:
        try:
            texts = [element.decode() for element in data.reshape(-1)]
        except UnicodeDecodeError:
            raise InvalidInput(f"tensor '{tensor}': the model takes text, and an element is not UTF-8") from None
        return np.array(texts, dtype=object).reshape(data.shape)
    return data if data.flags.writeable else data.copy()


def _describe(method: str, estimator: Any) -> TensorMetadata:
    classes = getattr(estimator, "classes_", None)
    count = len(classes) if isinstance(classes, np.ndarray) else -1
    if method == "predict":
        labels = classes.dtype if isinstance(classes, np.ndarray) else np.dtype(np.float64)
        return TensorMetadata(method, DATATYPES.get(labels, BYTES), (-1, -1))
    if method == "decision_function" and count == 2:
        count = 1
    return TensorMetadata(method, "FP64", (-1, -1 if method == "transform" else count))


def _tensor(name: str, found: Any) -> Tensor:
    """Lists and sparse matrices become arrays, and a flat result becomes a column, as MLServer has it."""
    try:
        array = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
    except ValueError as error:
        raise ModelFailed(f"the output '{name}' of the model is no array: {first_line(error)}") from None
    array = array.reshape(-1, 1) if array.ndim == 1 else array
    if array.dtype.kind in "OUS":
        texts = (it if isinstance(it, bytes) else str(it).encode() for it in array.reshape(-1).tolist())
        return Tensor(name, BYTES, raw.of_bytes(texts).reshape(array.shape))
    if array.dtype not in DATATYPES:
        raise ModelFailed(f"the output '{name}' of the model is of the type {array.dtype}, which V2 has no name for")
    return Tensor(name, DATATYPES[array.dtype], array)
