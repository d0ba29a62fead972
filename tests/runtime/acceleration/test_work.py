"""Every kind of model, compiled and asked what the native model is asked: at its thresholds, next to them, far away."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas
import pytest
import xgboost
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import GradientBoostingRegressor, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelyard.runtime.acceleration import domain, draw, work
from modelyard.runtime.acceleration.check import Limits
from modelyard.runtime.acceleration.compiled import CompiledModel
from modelyard.runtime.acceleration.errors import LeftToNative, NotCompilable
from modelyard.runtime.formats import lightgbm as lightgbm_format
from modelyard.runtime.formats import xgboost as xgboost_format
from modelyard.runtime.formats.sklearn import SklearnModel
from modelyard.runtime.model import Model
from modelyard.wire.oip.nouns import BYTES, DATATYPES, InferRequest, RequestedOutput, Tensor
from tests.runtime.acceleration import models
from tests.runtime.acceleration.models import CANCER, DIABETES, IRIS, SMALL

NOWHERE = Path("model.joblib")
# Whatever the converters of the libraries warn of, in the child that nobody listens to, is not the point here.
pytestmark = pytest.mark.filterwarnings("ignore")


def native(estimator: Any) -> SklearnModel:
    return SklearnModel(estimator, NOWHERE.name)


@pytest.mark.parametrize("name", models.EXACT)
def test_answers_to_the_last_bits(name: str):
    made = work.make(native(models.EXACT[name]()), NOWHERE, Limits(tolerance=1e-13, label_mismatch=0.0))
    assert made.plan.comparison.rows == work.ROWS
    assert "predict_proba" not in made.plan.native


@pytest.mark.parametrize("name", models.SINGLE)
def test_answers_as_closely_as_single_precision_allows(name: str):
    made = work.make(native(models.SINGLE[name]()), NOWHERE, Limits(tolerance=2e-6, label_mismatch=0.0))
    assert made.plan.comparison.rows == work.ROWS


@pytest.mark.parametrize(
    ("objective", "data", "outputs"),
    [
        ("binary:logistic", CANCER, 1),
        ("multi:softprob", IRIS, 3),
        ("multi:softmax", IRIS, 1),
        ("reg:squarederror", DIABETES, 1),
        ("reg:tweedie", DIABETES, 1),
        ("binary:logitraw", CANCER, 1),
    ],
)
def test_boosters_of_xgboost(objective: str, data: Any, outputs: int, tmp_path: Path):
    rows, labels = data
    params = {"objective": objective, "nthread": 1, **({"num_class": 3} if objective.startswith("multi") else {})}
    booster = xgboost.train(params, xgboost.DMatrix(rows, labels), 8)
    booster.save_model(tmp_path / "model.ubj")
    model = xgboost_format.read(tmp_path / "model.ubj", threads=1)
    made = work.make(model, tmp_path / "model.ubj", Limits(tolerance=1e-6, label_mismatch=0.0))
    answer = ask(model, made, {"x": rows.astype(np.float32)})
    assert answer["predict"].data.shape == (len(rows), outputs)
    assert answer["predict"].data.dtype == np.float32
    assert [it.name for it in made.plan.outputs] == [it.name for it in model.signature.outputs]


def test_a_classifier_that_xgboost_saved_answers_labels_and_probabilities(tmp_path: Path):
    xgboost.XGBClassifier(**SMALL).fit(*IRIS).save_model(tmp_path / "model.json")
    model = xgboost_format.read(tmp_path / "model.json", threads=1)
    made = work.make(model, tmp_path / "model.json", Limits())
    assert {it.name: it.datatype for it in made.plan.outputs} == {"predict": "INT64", "predict_proba": "FP32"}


@pytest.mark.parametrize("objective", ["binary", "multiclass", "multiclassova", "regression", "poisson"])
def test_boosters_of_lightgbm(objective: str, tmp_path: Path):
    rows, labels = {"binary": CANCER, "regression": DIABETES, "poisson": DIABETES}.get(objective, IRIS)
    params = {"objective": objective, "verbosity": -1, **({"num_class": 3} if objective.startswith("multi") else {})}
    lightgbm.train(params, lightgbm.Dataset(rows, labels), 8).save_model(tmp_path / "model.txt")
    model = lightgbm_format.read(tmp_path / "model.txt", threads=1)
    made = work.make(model, tmp_path / "model.txt", Limits(tolerance=1e-13, label_mismatch=0.0))
    assert ask(model, made, {"x": rows})["predict"].datatype == "FP64"
    assert [it.name for it in made.plan.outputs] == [it.name for it in model.signature.outputs]


def test_a_boosters_columns_are_taken_one_by_one(tmp_path: Path):
    data = lightgbm.Dataset(IRIS[0], IRIS[1], feature_name=["a", "b", "c", "d"])
    lightgbm.train({"objective": "regression", "verbosity": -1}, data, 5).save_model(tmp_path / "model.txt")
    model = lightgbm_format.read(tmp_path / "model.txt", threads=1)
    made = work.make(model, tmp_path / "model.txt", Limits())
    ask(model, made, {name: IRIS[0][:, place] for place, name in enumerate("abcd")})


class Unheard(ClassifierMixin, BaseEstimator):
    """No converter knows it."""

    def fit(self, rows: Any, labels: Any) -> "Unheard":
        self.classes_, self.n_features_in_ = np.unique(labels), rows.shape[1]
        return self

    def predict(self, rows: Any) -> Any:
        return np.repeat(self.classes_[:1], len(rows))


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (lambda: Unheard().fit(*IRIS), "skl2onnx cannot convert it: MissingShapeCalculator"),
        (lambda: IsolationForest(n_estimators=5).fit(IRIS[0]), "skl2onnx cannot convert it"),
        (
            lambda: RandomForestClassifier(**SMALL).fit(IRIS[0], np.column_stack([IRIS[1], IRIS[1]])),
            "a RandomForestClassifier of several outputs is not compiled",
        ),
        (
            lambda: GradientBoostingRegressor(**SMALL, init=LinearRegression()).fit(*DIABETES),
            "its gradient boosting starts from a LinearRegression",
        ),
        (
            lambda: xgboost.XGBClassifier(**SMALL, booster="gblinear").fit(*IRIS),
            "boosters of XGBoost's kind 'gblinear' are not compiled",
        ),
        (
            lambda: lightgbm.LGBMClassifier(**models.QUIET).fit(
                pandas.DataFrame({"a": pandas.Categorical(["x", "y"] * 75), "b": IRIS[0][:, 0]}), IRIS[1]
            ),
            "its trees split by categories",
        ),
        (
            lambda: make_pipeline(FunctionTransformer(np.log1p), LinearRegression()).fit(
                np.abs(DIABETES[0]), DIABETES[1]
            ),
            "skl2onnx cannot convert it",
        ),
    ],
)
def test_what_cannot_be_compiled_says_why(estimator: Any, reason: str):
    with pytest.raises(NotCompilable, match=reason):
        work.make(native(estimator()), NOWHERE, Limits())


class Lies(SklearnModel):
    """Answers other than what its estimator was compiled of."""

    def predict(self, inputs: Any, outputs: Any) -> Any:
        return [
            Tensor(it.name, it.datatype, np.roll(it.data, 1, axis=0)) if it.name in self.about else it
            for it in super().predict(inputs, outputs)
        ]

    about: tuple[str, ...] = ("predict",)


def test_labels_that_differ_are_counted_and_refused():
    with pytest.raises(NotCompilable, match=r"\d+ of 4,000 labels differ from the native model's \(\d\d\.\d\d%, 0.05%"):
        work.make(Lies(RandomForestClassifier(**SMALL).fit(*IRIS), "f"), NOWHERE, Limits())


def test_numbers_that_differ_are_refused():
    with pytest.raises(NotCompilable, match=r"its numbers differ by up to \S+ \(1e-05 are allowed\)"):
        work.make(Lies(LinearRegression().fit(*DIABETES), "f"), NOWHERE, Limits())


def test_more_is_let_pass_by_who_allows_it():
    made = work.make(Lies(RandomForestClassifier(**SMALL).fit(*IRIS), "f"), NOWHERE, Limits(label_mismatch=1.0))
    assert made.plan.comparison.differing_labels > 1000


def test_an_output_that_differs_is_left_to_the_native_model():
    model = Lies(RandomForestClassifier(**SMALL).fit(*IRIS), "f")
    model.about = ("predict_proba",)
    made = work.make(model, NOWHERE, Limits())
    assert [it.name for it in made.plan.outputs] == ["predict", "predict_log_proba"]
    assert "differ by up to" in made.plan.native["predict_proba"]
    with pytest.raises(LeftToNative):
        ask(model, made, {"x": IRIS[0]}, "predict", "predict_proba")


def ask(model: Model, made: work.Made, tensors: Any, *outputs: str) -> dict[str, Tensor]:
    """What the compiled model answers, after what the native model says of it is found equal."""
    fast = CompiledModel(model.signature, made.content, made.plan)
    inputs = tuple(Tensor(name, DATATYPES.get(data.dtype, BYTES), data) for name, data in tensors.items())
    request = InferRequest(inputs, tuple(map(RequestedOutput, outputs)))
    names = outputs or model.signature.usual
    found = fast.predict(fast.fit(request), names)
    for mine, theirs in zip(found, model.predict(model.fit(request), names), strict=True):
        assert (mine.name, mine.datatype, mine.data.shape) == (theirs.name, theirs.datatype, theirs.data.shape)
        assert mine.data.dtype == theirs.data.dtype
        if mine.data.dtype.kind == "f":
            np.testing.assert_allclose(mine.data, theirs.data, rtol=2e-6)
        else:
            np.testing.assert_array_equal(mine.data, theirs.data)
    return {it.name: it for it in found}


@pytest.fixture(scope="module")
def named() -> tuple[SklearnModel, work.Made]:
    model = native(models.EXACT["a forest of names"]())
    return model, work.make(model, NOWHERE, Limits())


def test_the_signature_is_the_native_models(named: tuple[SklearnModel, work.Made]):
    model, made = named
    assert CompiledModel(model.signature, made.content, made.plan).signature == model.signature
    answer = ask(model, made, {"anything": IRIS[0]}, "predict_proba", "predict", "predict_log_proba")
    assert [it.datatype for it in answer.values()] == ["FP64", BYTES, "FP64"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_])
def test_numbers_of_any_datatype_are_taken_as_the_native_model_takes_them(named, dtype: Any):
    model, made = named
    ask(model, made, {"x": IRIS[0].astype(dtype)}, "predict", "predict_proba")


def test_columns_are_taken_one_by_one():
    model = native(models.EXACT["a forest with a data frame's columns"]())
    made = work.make(model, NOWHERE, Limits())
    names = made.plan.names
    columns = {name: IRIS[0][:, place] for place, name in enumerate(names)}
    ask(model, made, dict(reversed(columns.items())), "predict", "predict_proba")
    ask(model, made, {name: data.reshape(-1, 1) for name, data in columns.items()})
    with pytest.raises(LeftToNative):
        ask(model, made, {name: columns[name] for name in names[1:]})


@pytest.mark.parametrize(
    "rows",
    [
        IRIS[0][:, :3],
        IRIS[0][0],
        IRIS[0][:0],
        np.full((1, 4), np.inf),
        np.full((1, 4), 1e300),
        np.array([[b"a", b"b", b"c", b"d"]], dtype=object),
    ],
)
def test_what_was_not_checked_is_left_to_the_native_model(named, rows: Any):
    model, made = named
    with pytest.raises(LeftToNative):
        ask(model, made, {"x": rows})


def test_nan_is_left_to_a_model_that_refuses_it_and_answered_where_it_was_checked():
    rows = IRIS[0].copy()
    rows[0, 0] = np.nan
    refuses = native(make_pipeline(StandardScaler(), LogisticRegression()).fit(*IRIS))
    with pytest.raises(LeftToNative):
        ask(refuses, work.make(refuses, NOWHERE, Limits()), {"x": rows})
    takes = native(models.EXACT["a forest"]())
    ask(takes, work.make(takes, NOWHERE, Limits()), {"x": rows})


def test_a_category_that_the_model_refuses_is_left_to_it():
    frame, labels = models.passengers()
    model = native(make_pipeline(models.prepared("error"), RandomForestClassifier(**SMALL)).fit(frame, labels))
    made = work.make(model, NOWHERE, Limits())
    assert made.plan.known == {2: {"Rome", "Oslo", "Bonn"}, 3: {"m", "f"}}
    fast = CompiledModel(model.signature, made.content, made.plan)
    given = {"age": np.array([np.nan, 30.0]), "fare": np.array([5.0, 50.0]), "sex": texts("m", "f")}
    request = [Tensor(name, DATATYPES.get(data.dtype, BYTES), data) for name, data in given.items()]
    known = InferRequest((*request, Tensor("city", BYTES, texts("Oslo", "Rome"))))
    (answer,) = fast.predict(fast.fit(known), ["predict"])
    expected = model.estimator.predict(
        pandas.DataFrame({**given, "city": ["Oslo", "Rome"], "sex": ["m", "f"]})[frame.columns]
    )
    assert [it.decode() for it in answer.data.reshape(-1)] == list(expected)
    with pytest.raises(LeftToNative):
        fast.fit(InferRequest((*request, Tensor("city", BYTES, texts("Oslo", "Paris")))))


def texts(*words: str) -> Any:
    return np.array([it.encode() for it in words], dtype=object)


def test_the_rows_lie_on_next_to_and_beyond_the_thresholds():
    tree = models.EXACT["a tree"]()
    thresholds = set(tree.tree_.threshold[tree.tree_.feature == 3])
    column = draw.rows(domain.of(tree), 2000, missing=True)[3]
    assert thresholds <= set(column)
    assert {np.nextafter(it, np.inf) for it in thresholds} <= set(column)
    assert column[np.isfinite(column)].max() > 3 * max(thresholds)
    assert np.isnan(column).any()


def test_thresholds_are_taken_back_through_scalers():
    pipeline = models.EXACT["a scaled forest"]()
    columns = domain.of(pipeline)
    scaler, forest = pipeline[0], pipeline[-1]
    tree = forest.estimators_[0].tree_
    feature, threshold = tree.feature[0], tree.threshold[0]
    before = threshold * scaler.scale_[feature] + scaler.mean_[feature]
    assert np.isclose(columns[feature].values, before, rtol=1e-12).any()
