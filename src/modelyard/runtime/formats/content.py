"""What a file is, by its name and, where a name says too little, by its first bytes."""

import re
from collections.abc import Mapping
from pathlib import Path

ONNX = "onnx"
SKLEARN = "sklearn"
XGBOOST = "xgboost"
LIGHTGBM = "lightgbm"
CATBOOST = "catboost"
MLFLOW = "mlflow"
PYTHON = "python"
FORMATS = (ONNX, SKLEARN, XGBOOST, LIGHTGBM, CATBOOST, MLFLOW, PYTHON)

# The packages whose MLServer runtimes serve what these formats hold.
MLSERVER_PACKAGES: Mapping[str, str] = {
    "mlserver_sklearn": SKLEARN,
    "mlserver_xgboost": XGBOOST,
    "mlserver_lightgbm": LIGHTGBM,
    "mlserver_catboost": CATBOOST,
    "mlserver_mlflow": MLFLOW,
    "mlserver_onnx": ONNX,
}

# The one suffix of scikit-learn's that is no pickle.
SKOPS = ".skops"

# The formats that a suffix may stand for.
SUFFIXES: Mapping[str, tuple[str, ...]] = {
    ".onnx": (ONNX,),
    ".joblib": (SKLEARN,),
    ".pkl": (SKLEARN,),
    ".pickle": (SKLEARN,),
    SKOPS: (SKLEARN,),
    ".ubj": (XGBOOST,),
    ".json": (XGBOOST,),
    ".bst": (XGBOOST, LIGHTGBM),
    ".txt": (LIGHTGBM,),
    ".cbm": (CATBOOST,),
}
# What makes a folder the model, and what may be one where nothing else is.
MLMODEL = "MLmodel"
CODE = ".py"

# Most often no model at all (settings, a list of requirements), or a booster of either kind.
TO_BE_LOOKED_INTO = (".json", ".bst", ".txt")

_HEAD_BYTES = 65_536
_JSON = re.compile(rb'\s*\{\s*"(?:learner|version)"\s*:')
_UBJSON = re.compile(rb"\{[LlIiU].{1,8}(?:learner|version)", re.DOTALL)
_OLD_BINARY = b"binf"  # XGBoost before 1.0 and, told so, up to 3.0; whether it can be read is the library's to say
_LIGHTGBM = re.compile(rb"tree\r?\n")


def format_of(path: Path) -> str | None:
    """None: no model, as far as one can see."""
    suffix = path.suffix
    if suffix not in TO_BE_LOOKED_INTO:
        return SUFFIXES[suffix][0] if suffix in SUFFIXES else None
    with path.open("rb") as file:
        seen = _seen(file.read(_HEAD_BYTES))
    return seen if seen in SUFFIXES[suffix] else None


def _seen(head: bytes) -> str | None:
    if _LIGHTGBM.match(head):
        return LIGHTGBM
    if head.startswith(_OLD_BINARY) or ((_JSON.match(head) or _UBJSON.match(head)) and b"learner" in head):
        return XGBOOST
    return None
