"""MLflow models by their `python_function` flavour, where no library of ours reads their files itself.

They get what their signature says: a DataFrame with named columns, an array, or arrays by name; without a signature a
DataFrame of whatever tensors come.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Before the import: it would tell its makers that it was imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about type hints of its own
    import mlflow.exceptions
    import mlflow.pyfunc

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats import mlflow_folder
from modelyard.runtime.formats.content import MLFLOW, MLMODEL
from modelyard.runtime.formats.frame import Frame
from modelyard.runtime.formats.frame_columns import Column
from modelyard.runtime.formats.mlflow_folder import Field
from modelyard.runtime.formats.python import answers, taking
from modelyard.runtime.formats.python.taking import Taking
from modelyard.runtime.formats.settings import Settings
from modelyard.runtime.model import Signature
from modelyard.wire.oip.nouns import Array, InferRequest, Tensor, TensorMetadata


def read(folder: Path, settings: Settings) -> "MlflowModel":
    """Runs the model's code. `settings`: with the signature's inputs. Raises `InvalidInput`."""
    said = mlflow_folder.parse((folder / MLMODEL).read_text(errors="replace"))
    if not said.loader:
        raise InvalidInput(f"{MLMODEL} has neither the flavor python_function nor one that is served without MLflow")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    except MemoryError:
        raise
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"the MLflow model needs the Python package '{error.name}', which is not installed"
        ) from None
    except BaseException as error:  # also SystemExit, which would end the event loop that waits for this
        raise InvalidInput(f"MLflow cannot load the model: {type(error).__name__}: {first_line(error)}") from None
    return MlflowModel(model, said.loader, said.fields, settings)


class MlflowModel:
    quick = False

    def __init__(self, model: Any, loader: str, fields: Sequence[Field] | None, settings: Settings) -> None:
        self.foreign = loader
        self._model = model
        self._settings = settings
        self._taking = _taking(fields)
        optional = {it.said.name for it in fields or () if it.optional}
        columns = tuple(
            Column(it.name, it.datatype, it.content_type or "", it.name in optional) for it in settings.inputs
        )
        self._frame = Frame(columns, settings.content_types) if self._taking is Taking.FRAME else None
        inputs = tuple(TensorMetadata(it.name, it.datatype or "FP64", it.shape or ()) for it in settings.inputs)
        self.signature = Signature(MLFLOW, inputs, (), ())

    def fit(self, request: InferRequest) -> Mapping[str, Array]:
        if self._frame is not None:
            return self._frame.fit(request)
        return taking.arrays(request, self._settings, self._settings.content_types)

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
        if self._frame is not None:
            given = self._frame.given(inputs)
        else:
            (given,), _ = taking.given(self._taking, inputs)
        try:
            found = self._model.predict(given)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code not in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"):
                raise
            raise InvalidInput(f"the model refused the input: {first_line(error)}") from None
        return answers.chosen(answers.tensors(found, column=True), outputs)


def _taking(fields: Sequence[Field] | None) -> Taking:
    if not fields or fields[0].column:
        return Taking.FRAME
    return Taking.DICT if any(it.said.name for it in fields) else Taking.ARRAY
