"""XGBoost's kinds of models, each against the library itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as library
from sklearn.datasets import load_diabetes, load_iris

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import xgboost
from modelyard.runtime.formats.booster import BoosterModel
from modelyard.wire.oip.nouns import InferRequest, Tensor

# XGBoost's log lines (of deprecated boosters, say) come as warnings out of a ctypes callback: an error there has
# nowhere to go.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

DIABETES, PROGRESS = load_diabetes(return_X_y=True)
IRIS, KIND = load_iris(return_X_y=True)
NAMES = [f"f{index}" for index in range(10)]


def read(tmp_path: Path, model: Any) -> BoosterModel:
    model.save_model(tmp_path / "model.ubj")
    return xgboost.read(tmp_path / "model.ubj", threads=1)


def predict(model: BoosterModel, rows: Any, output: str = "predict") -> Any:
    (answer,) = model.predict(model.fit(InferRequest((Tensor("x", "FP64", rows),))), [output])
    return answer.data


@pytest.mark.parametrize("names", [None, NAMES])
@pytest.mark.parametrize("kind", ["gbtree", "dart", "gblinear"])
def test_boosters_of_every_kind(tmp_path: Path, kind: str, names: list[str] | None):
    matrix = library.DMatrix(DIABETES, PROGRESS, feature_names=names)
    booster = library.train({"booster": kind, "nthread": 1}, matrix, 8)
    found = predict(read(tmp_path, booster), DIABETES)
    # In place the sum over a dart's trees is taken in another order.
    assert found[:, 0] == pytest.approx(booster.predict(matrix), rel=1e-5 if kind == "dart" else 0)


@pytest.mark.parametrize("kind", ["gbtree", "gblinear"])
def test_classifiers_give_labels_and_probabilities(tmp_path: Path, kind: str):
    fitted = library.XGBClassifier(n_estimators=8, booster=kind, n_jobs=1).fit(IRIS, KIND)
    model = read(tmp_path, fitted)
    assert np.array_equal(predict(model, IRIS)[:, 0], fitted.predict(IRIS))
    assert np.array_equal(predict(model, IRIS, "predict_proba"), fitted.predict_proba(IRIS))
    assert [it.datatype for it in model.signature.outputs] == ["INT64", "FP32"]


def test_a_regressor_that_stopped_early_predicts_with_its_best_trees(tmp_path: Path):
    fitted = library.XGBRegressor(n_estimators=200, early_stopping_rounds=3, n_jobs=1)
    fitted.fit(DIABETES[:300], PROGRESS[:300], eval_set=[(DIABETES[300:], PROGRESS[300:])], verbose=False)
    assert fitted.best_iteration + 1 < fitted.get_booster().num_boosted_rounds()
    assert np.array_equal(predict(read(tmp_path, fitted), DIABETES)[:, 0], fitted.predict(DIABETES))


def test_a_ranker_scores(tmp_path: Path):
    fitted = library.XGBRanker(n_estimators=5, n_jobs=1).fit(IRIS, KIND, group=[50, 50, 50])
    assert np.array_equal(predict(read(tmp_path, fitted), IRIS)[:, 0], fitted.predict(IRIS))


def test_several_targets_stay_a_matrix(tmp_path: Path):
    fitted = library.XGBRegressor(n_estimators=5, n_jobs=1).fit(DIABETES, np.column_stack([PROGRESS, -PROGRESS]))
    model = read(tmp_path, fitted)
    assert model.signature.outputs[0].shape == (-1, 2)
    assert np.array_equal(predict(model, DIABETES), fitted.predict(DIABETES))


def test_categories_are_given_by_their_codes(tmp_path: Path):
    rows = np.round(IRIS)
    types = ["q", "c", "q", "c"]
    matrix = library.DMatrix(rows, KIND, feature_types=types, enable_categorical=True)
    booster = library.train({"tree_method": "hist", "nthread": 1}, matrix, 8)
    assert np.array_equal(predict(read(tmp_path, booster), rows)[:, 0], booster.predict(matrix))


def test_what_xgboost_refuses_is_the_inputs_fault(tmp_path: Path):
    booster = library.train({"booster": "gblinear", "nthread": 1}, library.DMatrix(DIABETES, PROGRESS), 2)
    with pytest.raises(InvalidInput, match=r"the model refused the input tensor: .*inf"):
        predict(read(tmp_path, booster), np.full((1, 10), np.inf))


def test_the_format_that_xgboost_gave_up_says_so(tmp_path: Path):
    (tmp_path / "model.bst").write_bytes(b"binf" + bytes(200))
    with pytest.raises(InvalidInput) as refused:
        xgboost.read(tmp_path / "model.bst", threads=1)
    assert str(refused.value).startswith("XGBoost cannot load model.bst: ")
    assert "/src/" not in str(refused.value)
