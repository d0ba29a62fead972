"""XGBoost models: boosters, and what XGBoost's scikit-learn classes save.

A file that was saved by one of those classes says so, and predicts as that class does: a classifier labels, and
probabilities on request. Any other is a booster, and predicts what its objective gives.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from xgboost.core import _LIB as LIBRARY

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import trial
from modelyard.runtime.formats.booster import BoosterModel, Predict, of_binary, of_numbers
from modelyard.runtime.formats.content import XGBOOST
from modelyard.runtime.formats.settings import NOTHING, Settings
from modelyard.runtime.formats.trial import message
from modelyard.wire.oip.nouns import Array

_CLASSES = {
    "classifier": xgboost.XGBClassifier,
    "regressor": xgboost.XGBRegressor,
    "ranker": xgboost.XGBRanker,
}
_REFUSALS = (xgboost.core.XGBoostError, ValueError)


def read(path: Path, *, threads: int, settings: Settings = NOTHING) -> BoosterModel:
    """Raises `InvalidInput` when XGBoost cannot load it. `threads`: of one prediction."""
    trial.load(LIBRARY._name, XGBOOST, path)
    try:
        # From memory, because from a file XGBoost goes by the suffix, and knows no .bst.
        return _model(bytearray(path.read_bytes()), threads, settings)
    except _REFUSALS as error:
        raise InvalidInput(f"XGBoost cannot load {path.name}: {message(str(error))}") from None


def _model(content: bytearray, threads: int, settings: Settings) -> BoosterModel:
    booster = xgboost.Booster({"nthread": threads})
    booster.load_model(content)
    booster.set_param({"nthread": threads})  # the file has a word about it too
    saved_by = _CLASSES.get(json.loads(booster.attr("scikit_learn") or "{}").get("_estimator_type"))
    outputs: dict[str, Predict]
    if saved_by is None:
        predict = _of_booster(booster, threads)
        outputs = {"predict": predict}
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        if objective == "binary:logistic":
            outputs["predict_proba"] = lambda rows: of_binary(predict(rows))
        elif objective == "multi:softprob":
            outputs["predict_proba"] = predict
    else:
        estimator = saved_by(n_jobs=threads)
        estimator.load_model(content)
        booster = estimator.get_booster()
        booster.set_param({"nthread": threads})
        outputs = {"predict": _of_estimator(estimator.predict, booster)}
        if hasattr(estimator, "predict_proba"):
            outputs["predict_proba"] = _of_estimator(estimator.predict_proba, booster)
    table = of_numbers("FP32", booster.num_features(), booster.feature_names or (), settings)
    return BoosterModel(XGBOOST, table, outputs, _REFUSALS)


def _of_booster(booster: xgboost.Booster, threads: int) -> Predict:
    if not _is_linear(booster):
        return lambda rows: booster.inplace_predict(rows)
    turn = threading.Lock()  # what is not predicted in place is not promised to be safe in threads

    def predict(rows: Array) -> Any:
        matrix = xgboost.DMatrix(rows, feature_names=booster.feature_names, nthread=threads)
        with turn:
            return booster.predict(matrix)

    return predict


def _of_estimator(method: Callable[[Array], Any], booster: xgboost.Booster) -> Predict:
    """Labels are served as INT64, as scikit-learn's are."""
    turn = threading.Lock() if _is_linear(booster) else None
    if turn is not None:
        booster.feature_names = None  # it would ask for them, and a matrix has none

    def predict(rows: Array) -> Any:
        if turn is None:
            return _labels(method(rows))
        with turn:
            return _labels(method(rows))

    return predict


def _labels(found: Any) -> Any:
    return found.astype(np.int64) if found.dtype.kind in "iu" else found


def _is_linear(booster: xgboost.Booster) -> bool:
    return bool(json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gblinear")
