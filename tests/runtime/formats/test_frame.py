"""Models that get a DataFrame, of columns that come as tensors."""

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelyard.kit.errors import InvalidInput
from modelyard.runtime import independence
from modelyard.runtime.formats.frame import Frame
from modelyard.runtime.formats.frame_columns import Column
from modelyard.runtime.formats.settings import Settings, TensorSettings
from modelyard.runtime.formats.sklearn import SklearnModel
from modelyard.wire.oip import raw
from modelyard.wire.oip.nouns import InferRequest, Tensor
from tests.runtime import frames


def tensors(table: Any) -> tuple[Tensor, ...]:
    return (
        Tensor("city", "BYTES", raw.of_bytes(it.encode() for it in table["city"]).reshape(-1, 1)),
        Tensor("children", "INT64", table["children"].to_numpy().reshape(-1, 1)),
        Tensor("age", "FP64", table["age"].to_numpy()),
    )


def predicted(model: SklearnModel, request: InferRequest, *outputs: str) -> list[Tensor]:
    return list(model.predict(model.fit(request), outputs or model.signature.usual))


@pytest.mark.parametrize("content_type", [None, "pd"])
def test_a_pipeline_that_picks_columns_by_name_gets_them(content_type: str | None) -> None:
    fitted, table = frames.pipeline()
    model = SklearnModel(fitted, "m")
    request = InferRequest(tensors(table), parameters={"content_type": content_type} if content_type else {})
    label, probability = predicted(model, request, "predict", "predict_proba")
    assert [it.decode() for it in label.data.reshape(-1)] == fitted.predict(table).tolist()
    assert label.parameters == {"content_type": "str"}
    assert np.array_equal(probability.data, fitted.predict_proba(table))


def test_its_signature_names_the_columns_and_their_types() -> None:
    model = SklearnModel(frames.pipeline()[0], "m")
    assert [(it.name, it.datatype, it.shape) for it in model.signature.inputs] == [
        ("age", "FP64", (-1, 1)),
        ("children", "FP64", (-1, 1)),
        ("city", "BYTES", (-1, 1)),
    ]


def test_requests_for_it_may_share_a_call() -> None:
    fitted, _ = frames.pipeline()
    fitted[0].named_transformers_["words"].handle_unknown = "ignore"
    assert independence.try_out(SklearnModel(fitted, "m")) is independence.Rows.INDEPENDENT


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Tensor("city", "FP64", np.zeros(60)), r"tensor 'city': the model takes text \(BYTES\) in this column"),
        (
            Tensor("town", "BYTES", raw.of_bytes([b"Oslo"] * 60)),
            "tensor 'town' is no column of the model; it has age, ",
        ),
        (Tensor("city", "BYTES", raw.of_bytes([b"Oslo"])), r"tensor 'city' has shape \[1\], a column of equal rows"),
        (Tensor("city", "BYTES", raw.of_bytes([b"Rome"] * 60)), "the model refused the input tensor: Found unknown"),
        (Tensor("city", "BYTES", raw.of_bytes([b"\xff"] * 60)), "tensor 'city': '.' is no text in UTF-8"),
    ],
)
def test_a_wrong_column_is_named(wrong: Tensor, says: str) -> None:
    fitted, table = frames.pipeline()
    with pytest.raises(InvalidInput, match=says):
        predicted(SklearnModel(fitted, "m"), InferRequest((*tensors(table)[1:], wrong)))


def test_a_missing_column_is_named() -> None:
    fitted, table = frames.pipeline()
    with pytest.raises(
        InvalidInput, match="input tensor 'age' is missing; the model has the columns age, children, city"
    ):
        predicted(SklearnModel(fitted, "m"), InferRequest(tensors(table)[:2]))


def test_all_columns_in_one_tensor_are_named_in_order() -> None:
    frame = Frame((Column("a"), Column("b", "INT64")))
    given = frame.given(frame.fit(InferRequest((Tensor("any", "FP64", np.array([[1.0, 2.0], [3.0, 4.0]])),))))
    assert given.to_dict("list") == {"a": [1.0, 3.0], "b": [2, 4]}
    assert given.dtypes.to_dict() == {"a": np.float64, "b": np.int64}


def test_times_and_bytes_have_their_types() -> None:
    frame = Frame((Column("at", "BYTES", "datetime"), Column("raw", "BYTES", "base64"), Column("extra", optional=True)))
    at = Tensor("at", "BYTES", raw.of_bytes([b"2026-11-22T10:00:00Z"]))
    blob = Tensor("raw", "BYTES", raw.of_bytes([b"/wA="]), {"content_type": "base64"})
    given = frame.given(frame.fit(InferRequest((at, blob), parameters={"content_type": "pd"})))
    assert given["at"][0] == pandas.Timestamp("2026-11-22 10:00")
    assert given["raw"][0] == b"\xff\x00"
    assert list(given) == ["at", "raw"]


def doubled(table: Any) -> Any:
    return pandas.DataFrame({"age": table["age"] * 2})


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize(
    ("estimator", "wants_frame"),
    [
        pytest.param(LogisticRegression(), False, id="numbers only: an array is cheaper"),
        pytest.param(make_pipeline(FunctionTransformer(doubled), LogisticRegression()), True, id="the user's own code"),
        pytest.param(
            make_pipeline(make_column_transformer((StandardScaler(), ["age"])), LogisticRegression()),
            True,
            id="by name",
        ),
        pytest.param(
            make_pipeline(make_column_transformer((StandardScaler(), [0])), LogisticRegression()), False, id="by place"
        ),
        pytest.param(
            GridSearchCV(
                make_pipeline(make_column_transformer((StandardScaler(), ["age"])), LogisticRegression()),
                {"logisticregression__C": [1.0, 2.0]},
                cv=2,
            ),
            True,
            id="by name inside a search",
        ),
    ],
)
def test_a_frame_is_made_only_where_it_is_needed(estimator: Any, wants_frame: bool) -> None:
    table = frames.people()
    fitted = estimator.fit(table[["age", "children"]], frames.labels(table))
    model = SklearnModel(fitted, "m")
    assert (len(model.signature.inputs) == 2) is wants_frame
    (label,) = predicted(model, InferRequest(tensors(table)[1:]))
    assert [it.decode() for it in label.data.reshape(-1)] == fitted.predict(table[["age", "children"]]).tolist()


def test_settings_tell_the_types_of_columns() -> None:
    fitted, table = frames.pipeline()
    settings = Settings(inputs=(TensorSettings("children", "INT64", None, None),))
    model = SklearnModel(fitted, "m", settings)
    assert model.signature.inputs[1].datatype == "INT64"
    request = InferRequest((*tensors(table)[::2], Tensor("children", "FP64", np.full(60, 1.5))))
    with pytest.raises(InvalidInput, match=r"tensor 'children': 1\.5 is not a whole number"):
        model.fit(request)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_a_list_of_texts_goes_to_a_model_of_texts(shape: tuple[int, ...]) -> None:
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"], [1, 0])
    model = SklearnModel(fitted, "m")
    data = raw.of_bytes([b"so good", b"so bad"]).reshape(shape)
    (label,) = predicted(model, InferRequest((Tensor("x", "BYTES", data, {"content_type": "str"}),)))
    assert label.data.tolist() == [[1], [0]]
    assert model.signature.inputs[0].datatype == "BYTES"


def test_without_pandas_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, _ = frames.pipeline()
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.delitem(sys.modules, "modelyard.runtime.formats.frame")
    monkeypatch.delattr("modelyard.runtime.formats.frame")
    with pytest.raises(InvalidInput) as refused:
        SklearnModel(fitted, "model.joblib")
    assert str(refused.value) == (
        "model.joblib picks its columns by name, for which pandas is not installed where this server runs: "
        "`pip install 'modelyard[pandas]'` brings it"
    )


def test_a_call_while_pandas_is_being_imported_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is when another model's load imports it in another thread."""
    fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model = SklearnModel(fitted, "m")
    whole = sys.modules["pandas"]
    half = ModuleType("pandas")
    half.__spec__ = ModuleSpec("pandas", None)
    half.__spec__._initializing = True  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", half)
    monkeypatch.setattr(importlib, "import_module", lambda name: sys.modules.__setitem__(name, whole))
    (label,) = predicted(model, InferRequest((Tensor("x", "FP64", np.array([[0.0], [1.0]])),)))
    assert label.data.tolist() == [[0], [1]]
    assert sys.modules["pandas"] is whole
