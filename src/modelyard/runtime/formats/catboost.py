"""CatBoost models. A classifier predicts labels, and probabilities on request, as CatBoostClassifier does.

A model with categories or texts takes its features by column, for a matrix holds numbers only.
"""

import os
import sys
from pathlib import Path
from typing import Any

import catboost

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import first_line
from modelyard.runtime.formats import trial
from modelyard.runtime.formats.booster import BoosterModel, Predict, of_numbers
from modelyard.runtime.formats.content import CATBOOST
from modelyard.runtime.formats.frame import Frame
from modelyard.runtime.formats.frame_columns import Column
from modelyard.runtime.formats.rows import Table
from modelyard.runtime.formats.settings import NOTHING, Settings
from modelyard.wire.oip.nouns import BYTES

_REFUSALS = (catboost.CatBoostError, ValueError)
_RANKERS = ("YetiRank", "PairLogit", "QueryRMSE", "QuerySoftMax", "StochasticRank", "LambdaMart")


def read(path: Path, *, threads: int, settings: Settings = NOTHING) -> BoosterModel:
    """Raises `InvalidInput` when CatBoost cannot load it. `threads`: of one prediction."""
    trial.load(os.pathsep.join(sys.path), CATBOOST, path)
    try:
        return _model(path, threads, settings)
    except _REFUSALS as error:
        raise InvalidInput(f"CatBoost cannot load {path.name}: {trial.message(first_line(error))}") from None


def _model(path: Path, threads: int, settings: Settings) -> BoosterModel:
    model = catboost.CatBoost()
    model.load_model(str(path))
    methods: tuple[str, ...] = ("predict",)
    if len(model.classes_):
        model, methods = catboost.CatBoostClassifier(), ("predict", "predict_proba", "predict_log_proba")
        model.load_model(str(path))
    elif not str(model.get_params().get("loss_function", "")).startswith(_RANKERS):
        model = catboost.CatBoostRegressor()
        model.load_model(str(path))
    outputs = {name: _of(model, name, threads) for name in methods}
    return BoosterModel(CATBOOST, _table(model, path.name, settings), outputs, _REFUSALS)


def _of(model: Any, name: str, threads: int) -> Predict:
    method = getattr(model, name)
    return lambda rows: method(rows, thread_count=threads)


def _table(model: Any, file: str, settings: Settings) -> Table:
    names = [str(it) for it in model.feature_names_]
    if model.get_embedding_feature_indices():
        raise InvalidInput(f"{file} takes embeddings, which this server cannot serve")
    words = {*model.get_cat_feature_indices(), *model.get_text_feature_indices()}
    if words:
        datatypes = ((name, BYTES if place in words else "FP32") for place, name in enumerate(names))
        return Frame(tuple(Column(name, datatype) for name, datatype in datatypes), settings.content_types)
    made_up = names == [str(place) for place in range(len(names))]
    return of_numbers("FP32", len(names), () if made_up else names, settings)
