"""LightGBM's kinds of models, each against the library itself."""

from pathlib import Path
from typing import Any

import lightgbm as library
import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from modelyard.runtime.formats import lightgbm
from modelyard.runtime.formats.booster import BoosterModel
from modelyard.wire.oip.nouns import InferRequest, Tensor

DIABETES, PROGRESS = load_diabetes(return_X_y=True)
QUIET = {"verbosity": -1, "num_threads": 1}


def train(tmp_path: Path, names: list[str] | None = None, **params: Any) -> tuple[library.Booster, BoosterModel]:
    dataset = library.Dataset(DIABETES, PROGRESS, feature_name=names or "auto")
    booster = library.train({**QUIET, **params}, dataset, 8)
    booster.save_model(tmp_path / "model.txt")
    return booster, lightgbm.read(tmp_path / "model.txt", threads=1)


def predict(model: BoosterModel, *tensors: Tensor) -> Any:
    (answer,) = model.predict(model.fit(InferRequest(tuple(tensors))), model.signature.usual)
    return answer.data


@pytest.mark.parametrize("kind", ["gbdt", "dart", "rf"])
def test_boosters_of_every_kind(tmp_path: Path, kind: str):
    forest = {"bagging_freq": 1, "bagging_fraction": 0.5} if kind == "rf" else {}
    booster, model = train(tmp_path, boosting=kind, **forest)
    assert np.array_equal(predict(model, Tensor("x", "FP64", DIABETES))[:, 0], booster.predict(DIABETES))


def test_linear_trees(tmp_path: Path):
    booster, model = train(tmp_path, linear_tree=True)
    assert np.array_equal(predict(model, Tensor("x", "FP64", DIABETES))[:, 0], booster.predict(DIABETES))


def test_names_that_lightgbm_makes_up_are_no_columns(tmp_path: Path):
    booster, model = train(tmp_path)
    assert booster.feature_name()[0] == "Column_0"
    assert predict(model, Tensor("Column_0", "FP64", DIABETES[:2])).shape == (2, 1)


def test_names_of_the_data_are_columns(tmp_path: Path):
    booster, model = train(tmp_path, [f"f{index}" for index in range(10)])
    columns = [Tensor(f"f{index}", "FP64", DIABETES[:, index]) for index in reversed(range(10))]
    assert np.array_equal(predict(model, *columns)[:, 0], booster.predict(DIABETES))


def test_a_prediction_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    _, model = train(tmp_path)
    predict(model, Tensor("x", "FP64", DIABETES))
    assert capfd.readouterr() == ("", "")
