"""MLflow folders: by a library of ours where one will do, else by MLflow."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.artifact import find
from modelyard.runtime.formats.load import Options, load
from modelyard.wire.oip.nouns import InferRequest, Tensor
from tests.runtime import mlflow_models

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("mlflow")
    return folder, mlflow_models.write(folder)


PLATFORMS = {
    "ml-sklearn": "sklearn",
    "ml-skops": "sklearn",
    "ml-proba": "mlflow",
    "ml-xgboost": "xgboost",
    "ml-lightgbm": "lightgbm",
    "ml-catboost": "catboost",
    "ml-python": "mlflow",
}


def by_column(table: Any) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, "FP64", table[name].to_numpy()) for name in reversed(list(table.columns)))


@pytest.mark.parametrize(("name", "platform"), PLATFORMS.items())
def test_it_predicts_what_mlflow_would_with_the_signatures_columns(models: Any, name: str, platform: str) -> None:
    folder, expected = models
    model = load(folder / name, Options()).model
    table, _ = mlflow_models.table()
    assert model.signature.platform == platform
    assert [(it.name, it.datatype, it.shape) for it in model.signature.inputs] == [
        (column, "FP64", (-1, 1)) for column in table.columns
    ]
    request = InferRequest(by_column(table), parameters={"content_type": "pd"})
    (answer,) = model.predict(model.fit(request), model.signature.usual)
    assert answer.name == "predict"
    assert np.allclose(answer.data.reshape(-1), np.asarray(expected[name]).reshape(-1), rtol=1e-6)
    whole = InferRequest((Tensor("all", "FP64", table.to_numpy()),))
    (again,) = model.predict(model.fit(whole), model.signature.usual)
    assert np.array_equal(again.data, answer.data)


def test_a_tensor_signature_gets_an_array_and_a_dict_is_outputs_by_name(models: Any) -> None:
    model = load(models[0] / "ml-arrays", Options()).model
    assert [(it.name, it.datatype, it.shape) for it in model.signature.inputs] == [("predict", "FP64", (-1, 4))]
    rows = np.arange(8.0).reshape(2, 4)
    request = InferRequest((Tensor("anything", "FP32", rows.astype(np.float32)),))
    shape, twice = model.predict(model.fit(request), ())
    assert shape.data.tolist() == [[b"(2, 4)"]]
    assert np.array_equal(twice.data, rows * 2)


def test_the_layout_of_a_run_is_found(models: Any) -> None:
    assert find(models[0] / "run").path == models[0] / "run/artifacts/model"


def test_a_missing_column_is_named(models: Any) -> None:
    model = load(models[0] / "ml-python", Options()).model
    table, _ = mlflow_models.table()
    with pytest.raises(InvalidInput, match=r"input tensor 'sepal length \(cm\)' is missing"):
        model.fit(InferRequest(by_column(table)[:3]))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ml-python", "is served by MLflow, which runs code of the model's: not allowed here (--no-pickle)"),
        ("ml-sklearn", "is a pickle, which runs code when it is loaded: not allowed here (--no-pickle)"),
        ("ml-skops", None),
        ("ml-xgboost", None),
    ],
)
def test_code_is_not_run_where_pickles_are_refused(models: Any, name: str, says: str | None) -> None:
    if says is None:
        load(models[0] / name, Options(pickle=False))
        return
    with pytest.raises(InvalidInput) as refused:
        load(models[0] / name, Options(pickle=False))
    assert str(refused.value).endswith(says)


def test_without_mlflow_only_what_needs_it_is_refused(models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.delitem(sys.modules, "modelyard.runtime.formats.mlflow", raising=False)
    monkeypatch.delattr("modelyard.runtime.formats.mlflow", raising=False)
    assert load(models[0] / "ml-sklearn", Options()).model.signature.platform == "sklearn"
    with pytest.raises(InvalidInput) as refused:
        load(models[0] / "ml-python", Options())
    assert str(refused.value) == (
        "MLflow is not installed where this server runs: `pip install 'modelyard[mlflow]'` brings it"
    )


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(lambda it: (it / "MLmodel").write_text("flavors: ["), "MLmodel is not YAML", id="no YAML"),
        pytest.param(lambda it: (it / "MLmodel").write_text("a: 1"), "MLmodel names no flavors", id="no flavors"),
        pytest.param(
            lambda it: (it / "python_model.pkl").write_bytes(b"nothing"), "MLflow cannot load the model: ", id="damaged"
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(models: Any, tmp_path: Path, damage: Any, says: str) -> None:
    folder = tmp_path / "m"
    shutil.copytree(models[0] / "ml-python", folder)
    damage(folder)
    with pytest.raises(InvalidInput) as refused:
        load(folder, Options())
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_mlmodel_names_and_that_is_missing_is_said(models: Any, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(models[0] / "ml-xgboost", folder)
    next(folder.glob("model.*")).unlink()
    with pytest.raises(InvalidInput, match=r"m: MLmodel names 'model\.[a-z]+', which is not a file in its folder"):
        load(folder, Options())
