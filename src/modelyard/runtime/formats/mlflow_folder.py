"""What the `MLmodel` file of an MLflow folder says: its signature, and which file a library of ours can read itself.

Pure. MLflow itself is needed only where nothing but its `python_function` flavour will do (`mlflow.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.content import CATBOOST, LIGHTGBM, MLMODEL, ONNX, SKLEARN, SKOPS, XGBOOST
from modelyard.runtime.formats.settings import TensorSettings
from modelyard.wire.oip.content_types import BASE64, DATETIME
from modelyard.wire.oip.nouns import BYTES, DATATYPES

# MLflow's types of columns: our datatype and, where text stands for something else, content type.
_TYPES: Mapping[str, tuple[str, str | None]] = {
    "boolean": ("BOOL", None),
    "integer": ("INT32", None),
    "long": ("INT64", None),
    "float": ("FP32", None),
    "double": ("FP64", None),
    "string": (BYTES, None),
    "binary": (BYTES, BASE64),
    "datetime": (BYTES, DATETIME),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One input of the signature. `column`: of a table; else a tensor of its own, whose name may be empty."""

    said: TensorSettings
    column: bool = True
    optional: bool = False


@dataclass(frozen=True, slots=True)
class MlModel:
    """`native`: a format of ours and its file, below the folder. `loader`: the module of the python_function flavour,
    empty where it has none. `fields` None: there is no signature, or one that cannot be told in tensors. `example`:
    the file that holds an example of the inputs, empty where there is none."""

    native: tuple[str, str] | None
    loader: str
    fields: tuple[Field, ...] | None
    example: str = ""


def parse(text: str) -> MlModel:
    """Raises `InvalidInput`."""
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        first = (str(error).splitlines() or ["damaged"])[0]
        raise InvalidInput(f"{MLMODEL} is not YAML: {first}") from None
    flavors = found.get("flavors") if isinstance(found, dict) else None
    if not isinstance(flavors, dict) or not flavors:
        raise InvalidInput(f"{MLMODEL} names no flavors, so it says nothing of how to load the model")
    function = _object(flavors, "python_function")
    signature = found.get("signature")
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    example = str(_object(found, "saved_input_example_info").get("artifact_path") or "")
    return MlModel(_native(flavors), str(function.get("loader_module", "")), _fields(inputs), example)


def _native(flavors: Mapping[str, Any]) -> tuple[str, str] | None:
    """None where a library alone does not do what MLflow would: code beside the model, another method than predict."""
    wanted = _object(flavors, "python_function").get("predict_fn", "predict")
    for flavor, key, kind in (
        ("sklearn", "pickled_model", SKLEARN),
        ("xgboost", "data", XGBOOST),
        ("lightgbm", "data", LIGHTGBM),
        ("catboost", "data", CATBOOST),
        ("onnx", "data", ONNX),
    ):
        said = _object(flavors, flavor)
        file = said.get(key)
        if not isinstance(file, str) or said.get("code") or wanted != "predict":
            continue
        if kind == LIGHTGBM and not file.endswith((".lgb", ".txt")):
            # A class of LightGBM's for scikit-learn; of such a file from skops only MLflow knows what to trust.
            return None if file.endswith(SKOPS) else (SKLEARN, file)
        if kind == CATBOOST and said.get("save_format", "cbm") != "cbm":
            return None
        if kind == ONNX and _object(flavors, "onnx").get("onnx_session_options"):
            return None
        return kind, file
    return None


def _fields(inputs: Any) -> tuple[Field, ...] | None:
    try:
        listed = json.loads(inputs) if isinstance(inputs, str) else None
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not listed:
        return None
    fields = [_field(it) for it in listed if isinstance(it, dict)]
    told = [it for it in fields if it is not None]
    return tuple(told) if len(told) == len(listed) else None


def _field(said: Mapping[str, Any]) -> Field | None:
    name = str(said.get("name") or "")
    if said.get("type") == "tensor":
        spec = _object(said, "tensor-spec")
        shape = tuple(spec.get("shape") or ())
        return Field(TensorSettings(name, _datatype(str(spec.get("dtype"))), shape), column=False)
    known = _TYPES.get(str(said.get("type")))
    if known is None or not name:
        return None
    return Field(TensorSettings(name, known[0], (-1, 1), known[1]), optional=said.get("required") is False)


def _datatype(dtype: str) -> str:
    return next((name for its, name in DATATYPES.items() if its.name == dtype and name != BYTES), BYTES)


def _object(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}
