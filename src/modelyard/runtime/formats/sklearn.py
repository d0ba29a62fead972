"""scikit-learn models, natively: estimators and pipelines from joblib or pickle files.

The names are MLServer's: `predict` is the usual output, and a single input may have any name. A model that was fitted
with named columns takes one tensor per column as well, and gets a DataFrame where it needs one.
"""

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn.base  # noqa: F401  # so that no load pays for the import but the first

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats import examples, extras, foreign, outputs, sklearn_columns, sklearn_learned
from modelyard.runtime.formats.frame_columns import Column
from modelyard.runtime.formats.rows import INPUT, Rows, Table
from modelyard.runtime.formats.settings import NOTHING, Settings
from modelyard.runtime.model import Signature
from modelyard.wire.oip import content_types, example
from modelyard.wire.oip.content_types import Defaults
from modelyard.wire.oip.nouns import BYTES, DATATYPES, Array, InferRequest, Tensor, TensorMetadata

# The methods that may be asked for as outputs; the first that the model has is the usual one.
METHODS = ("predict", "transform", "predict_proba", "predict_log_proba", "decision_function")
# A server is given arrays, whatever the model was fitted with.
warnings.filterwarnings("ignore", message="X does not have valid feature names")


def read(path: Path, settings: Settings = NOTHING) -> "SklearnModel":
    """Unpickle, which runs the artifact's code. Raises `InvalidInput` when the file holds no usable model."""
    try:
        estimator = joblib.load(path)
    except MemoryError:
        raise
    except ModuleNotFoundError as error:
        raise InvalidInput(f"{path.name} needs the Python package '{error.name}', which is not installed") from None
    except BaseException as error:  # also SystemExit, which would end the event loop that waits for this
        raise InvalidInput(f"{path.name} cannot be unpickled: {type(error).__name__}: {first_line(error)}") from None
    return SklearnModel(estimator, path.name, settings)


class SklearnModel:
    quick = False

    def __init__(self, estimator: Any, file: str, settings: Settings = NOTHING) -> None:
        self.estimator = estimator
        self.foreign = foreign.code_of(estimator)
        methods = [name for name in METHODS if callable(getattr(estimator, name, None))]
        if not methods:
            raise InvalidInput(f"{file} holds a {type(estimator).__name__}, which has no 'predict' or 'transform'")
        learned = sklearn_learned.columns(estimator)
        self._table = _table(estimator, file, settings, of_texts=any(it.text for it in learned))
        self.signature = Signature(
            platform="sklearn",
            inputs=self._table.inputs,
            outputs=tuple(_describe(name, estimator) for name in methods),
            usual=(methods[0],),
        )
        names = [str(it) for it in getattr(estimator, "feature_names_in_", ())]
        values = [sklearn_learned.value(it) for it in learned]
        self.example = examples.placed(self._table.inputs, names, values) if learned else example.NONE

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        return self._table.fit(request)

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        given = self._table.given(inputs)
        return [self._output(name, given) for name in outputs]

    def _output(self, name: str, given: Any) -> Tensor:
        method = getattr(self.estimator, name)
        try:
            found = _when_pandas_is_whole(lambda: method(given))
        except ValueError as error:  # how scikit-learn refuses its input
            raise InvalidInput(f"the model refused the input tensor: {first_line(error)}") from None
        return outputs.tensor(name, found)


def _when_pandas_is_whole(call: Callable[[], Any]) -> Any:
    """scikit-learn looks at pandas wherever it is among the modules, also while another model's load imports it."""
    try:
        return call()
    except AttributeError as error:
        if "partially initialized module 'pandas" not in str(error):
            raise
    importlib.import_module("pandas")  # waits until whoever imports it has done so
    return call()


def _table(estimator: Any, file: str, settings: Settings, *, of_texts: bool) -> Table:
    """How the model takes its rows. `of_texts`: whether it learned texts, in some of its columns."""
    columns = sklearn_columns.of_frame(estimator, settings)
    if columns is not None:
        frame = extras.imported("pandas", _frame, why=f"{file} picks its columns by name")
        return frame(columns, settings.content_types)
    features: int | None = getattr(estimator, "n_features_in_", None)
    names = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    if features is None and sklearn_columns.takes_text(estimator):
        described = TensorMetadata(INPUT, BYTES, (-1,))
    else:
        datatype = BYTES if of_texts else "FP64"
        described = TensorMetadata(INPUT, datatype, (-1, -1 if features is None else features))
    return Rows(features, names, _plain, settings.content_types, settings.described(described, names))


def _frame() -> Callable[[tuple[Column, ...], Defaults], Table]:
    from modelyard.runtime.formats import frame

    return frame.Frame


def _plain(data: Array, tensor: str) -> Array:
    """What scikit-learn takes: text instead of bytes, and memory that it may write to."""
    if data.dtype == object:
        return content_types.text(data, tensor) if data.size and isinstance(data.flat[0], bytes) else data
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
