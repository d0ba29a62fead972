"""CatBoost models."""

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.catboost import read
from modelyard.runtime.formats.settings import Settings, TensorSettings
from modelyard.wire.oip import raw
from modelyard.wire.oip.nouns import InferRequest, Tensor
from tests.runtime import frames

OPTIONS: dict[str, Any] = {"iterations": 8, "verbose": 0, "thread_count": 1, "allow_writing_files": False}


def saved(folder: Path, model: Any, *data: Any, **how: Any) -> tuple[Path, Any]:
    model.fit(*data, **how).save_model(str(folder / "model.cbm"))
    return folder / "model.cbm", model


def test_a_classifier_predicts_its_labels_and_probabilities_on_request(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    path, fitted = saved(tmp_path, catboost.CatBoostClassifier(**OPTIONS), rows, names)
    model = read(path, threads=1)
    assert [it.name for it in model.signature.outputs] == ["predict", "predict_proba", "predict_log_proba"]
    label, probability = model.predict(
        model.fit(InferRequest((Tensor("x", "FP64", rows),))), ["predict", "predict_proba"]
    )
    assert [it.decode() for it in label.data.reshape(-1)] == fitted.predict(rows).reshape(-1).tolist()
    assert np.allclose(probability.data, fitted.predict_proba(rows))


def test_a_regressor_predicts_values(tmp_path: Path) -> None:
    rows, values = load_diabetes(return_X_y=True)
    path, fitted = saved(tmp_path, catboost.CatBoostRegressor(**OPTIONS), rows, values)
    model = read(path, threads=1, settings=Settings(inputs=(TensorSettings("rows", "FP64"),)))
    (answer,) = model.predict(model.fit(InferRequest((Tensor("x", "FP64", rows),))), model.signature.usual)
    assert np.allclose(answer.data.reshape(-1), fitted.predict(rows), rtol=1e-5)
    assert [(it.name, it.datatype, it.shape) for it in model.signature.inputs] == [("rows", "FP64", (-1, 10))]


def test_categories_come_as_columns_of_text(tmp_path: Path) -> None:
    table = frames.people()
    made = catboost.CatBoostClassifier(**OPTIONS, cat_features=["city"])
    path, fitted = saved(tmp_path, made, table, frames.labels(table))
    model = read(path, threads=1)
    assert [(it.name, it.datatype) for it in model.signature.inputs] == [
        ("age", "FP32"),
        ("children", "FP32"),
        ("city", "BYTES"),
    ]
    tensors = (
        Tensor("city", "BYTES", raw.of_bytes(it.encode() for it in table["city"])),
        Tensor("age", "FP64", table["age"].to_numpy()),
        Tensor("children", "INT64", table["children"].to_numpy()),
    )
    (answer,) = model.predict(model.fit(InferRequest(tensors)), model.signature.usual)
    assert [it.decode() for it in answer.data.reshape(-1)] == fitted.predict(table).tolist()
    with pytest.raises(InvalidInput, match=r"tensor 'city': the model takes text \(BYTES\) in this column"):
        model.fit(InferRequest((*tensors[1:], Tensor("city", "FP64", table["age"].to_numpy()))))


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", None], ids=["empty", "something else", "cut off"])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    rows, labels = load_iris(return_X_y=True)
    path, _ = saved(tmp_path, catboost.CatBoostClassifier(**OPTIONS), rows, labels)
    path.write_bytes(path.read_bytes()[:4000] if content is None else content)
    with pytest.raises(InvalidInput, match=r"^CatBoost cannot load model\.cbm: ") as refused:
        read(path, threads=1)
    assert "\n" not in str(refused.value)
