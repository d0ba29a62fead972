"""Boosters trained on real data, saved in every way that the runtime reads, and what the libraries predict."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

ROUNDS = 12
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


@dataclass(frozen=True)
class Trained:
    """`expected`: every output that the model has, of the library itself on the file; the usual one first."""

    platform: str
    rows: Any
    expected: Mapping[str, Any]

    @property
    def usual(self) -> str:
        return next(iter(self.expected))


def write(repository: Path) -> dict[str, Trained]:
    """By the model's name, which is its folder."""
    cancer, iris, diabetes = (load(return_X_y=True) for load in (load_breast_cancer, load_iris, load_diabetes))
    return {
        **_xgboost(repository, "cancer-json", "model.json", cancer, {"objective": "binary:logistic"}),
        **_xgboost(repository, "iris-ubj", "iris.ubj", iris, {"objective": "multi:softprob", "num_class": 3}, COLUMNS),
        **_xgboost(repository, "diabetes-bst", "model.bst", diabetes, {"objective": "reg:squarederror"}),
        **_xgboost_classifier(repository, "iris-classifier", "model.json", iris),
        **_xgboost_classifier(repository, "cancer-classifier", "1/model.ubj", cancer),
        **_lightgbm(repository, "cancer-txt", "model.txt", cancer, {"objective": "binary"}),
        **_lightgbm(repository, "iris-txt", "model.txt", iris, {"objective": "multiclass", "num_class": 3}, COLUMNS),
        **_lightgbm(repository, "diabetes-lightgbm-bst", "model.bst", diabetes, {"objective": "regression"}),
    }


def _xgboost(
    repository: Path, name: str, file: str, data: Any, params: Mapping[str, Any], columns: list[str] | None = None
) -> dict[str, Trained]:
    rows, labels = data
    matrix = xgboost.DMatrix(rows, labels, feature_names=columns)
    booster = xgboost.train({"max_depth": 3, "nthread": 1, **params}, matrix, ROUNDS)
    path = _path(repository, name, file)
    # By way of memory, because into a file of another suffix XGBoost writes only with a warning.
    path.write_bytes(booster.save_raw("json" if path.suffix == ".json" else "ubj"))
    again = xgboost.Booster()
    again.load_model(bytearray(path.read_bytes()))
    return {name: Trained("xgboost", rows, _expected(again.predict(matrix), params))}


def _xgboost_classifier(repository: Path, name: str, file: str, data: Any) -> dict[str, Trained]:
    rows, labels = data
    path = _path(repository, name, file)
    xgboost.XGBClassifier(n_estimators=ROUNDS, max_depth=3, n_jobs=1).fit(rows, labels).save_model(path)
    again = xgboost.XGBClassifier()
    again.load_model(path)
    expected = {"predict": _column(again.predict(rows)), "predict_proba": again.predict_proba(rows)}
    return {name: Trained("xgboost", rows, expected)}


def _lightgbm(
    repository: Path, name: str, file: str, data: Any, params: Mapping[str, Any], columns: list[str] | None = None
) -> dict[str, Trained]:
    rows, labels = data
    dataset = lightgbm.Dataset(rows, labels, feature_name=columns or "auto")
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1, **params}, dataset, ROUNDS)
    path = _path(repository, name, file)
    booster.save_model(path)
    return {name: Trained("lightgbm", rows, _expected(lightgbm.Booster(model_file=path).predict(rows), params))}


def _expected(predicted: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """A classifier's probabilities have a column for each class, also where there are two."""
    found = {"predict": _column(predicted)}
    if predicted.ndim == 2:
        found["predict_proba"] = predicted
    elif str(params["objective"]).startswith("binary"):
        found["predict_proba"] = np.column_stack([1 - predicted, predicted])
    return found


def _path(repository: Path, name: str, file: str) -> Path:
    path = repository / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _column(found: Any) -> Any:
    return found.reshape(-1, 1) if np.ndim(found) == 1 else found
