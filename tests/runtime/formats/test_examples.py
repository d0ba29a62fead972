"""Examples of what a model takes, from what it learned and from what MLflow keeps."""

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from modelyard.runtime.acceleration.domain import Column
from modelyard.runtime.formats import examples, sklearn_learned
from modelyard.wire.oip.nouns import TensorMetadata
from tests.runtime import frames

A, B = TensorMetadata("a", "FP64", (-1, 1)), TensorMetadata("b", "BYTES", (-1, 1))
MATRIX = TensorMetadata("predict", "FP32", (-1, 2))


@pytest.mark.parametrize(
    ("said", "inputs", "expected"),
    [
        ({"columns": ["b", "a"], "data": [["x", 2], ["y", 3]]}, [A, B], {"a": (2.0,), "b": ("x",)}),
        ({"columns": ["b", "a"], "data": [[1, 2]]}, [MATRIX], {"predict": (1.0, 2.0)}),
        ({"inputs": [[1, 2], [3, 4]]}, [MATRIX], {"predict": (1.0, 2.0)}),
        ({"inputs": {"a": [[1], [2]], "b": [["x"], ["y"]]}}, [A, B], {"a": (1.0,), "b": ("x",)}),
        ({"columns": ["b", "a"], "data": [["x", None]]}, [A, B], {}),
        ({"columns": ["b"], "data": [["x", "y"]]}, [A, B], {}),
        ({"columns": [], "data": []}, [A, B], {}),
        ({"inputs": "nonsense"}, [A, B], {}),
        (["nonsense"], [A, B], {}),
    ],
    ids=["table", "table for a matrix", "array", "arrays", "empty cell", "short header", "no rows", "text", "list"],
)
def test_what_an_input_example_of_mlflow_says(
    said: Any, inputs: list[TensorMetadata], expected: dict[str, Any]
) -> None:
    assert examples.of_mlflow(inputs, said) == expected


class Nonsense:
    """Has what pipelines have, and none of it works."""

    steps = 3

    def predict(self, _rows: Any) -> Any:
        return None


def wordy() -> Any:
    return make_pipeline(OneHotEncoder(), LogisticRegression())


WORDS = np.array([["red", "S"], ["green", "L"]], dtype=object)
MANY = np.concatenate([WORDS] * 4)
ROWS = np.array([[1.0, 10.0], [3.0, 30.0]])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (make_pipeline(OneHotEncoder(), LogisticRegression()).fit(WORDS, [0, 1]), ["green", "L"]),
        (OrdinalEncoder().fit(WORDS), ["green", "L"]),
        (make_pipeline(OneHotEncoder(), LogisticRegression()).fit([[7.25], [9.125]], [0, 1]), [9.125]),
        (make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, [0, 1]), [2.5, 25.0]),
        (make_pipeline(CountVectorizer(), LogisticRegression()).fit(["one", "two"], [0, 1]), ["one two"]),
        (CalibratedClassifierCV(wordy(), cv=2).fit(MANY, [0, 1] * 4), ["green", "L"]),
        (VotingClassifier([("p", wordy())]).fit(MANY, [0, 1] * 4), ["green", "L"]),
        (GridSearchCV(wordy(), {}, cv=2).fit(MANY, [0, 1] * 4), ["green", "L"]),
        (TransformedTargetRegressor(make_pipeline(OneHotEncoder(), Ridge())).fit(WORDS, [0, 1]), ["green", "L"]),
        (RandomForestClassifier(3).fit(ROWS, [0, 1]), []),
        (make_pipeline(FunctionTransformer(), LogisticRegression()).fit(ROWS, [0, 1]), [0.0, 0.0]),
        (object(), []),
        (Nonsense(), []),
    ],
    ids=[
        "categories",
        "encoder",
        "numbers as categories",
        "scaler",
        "texts",
        "calibrated",
        "voting",
        "searched",
        "transformed target",
        "forest",
        "function",
        "anything",
        "nonsense",
    ],
)
def test_an_example_is_made_of_what_the_first_steps_learned(model: Any, expected: list[Any]) -> None:
    assert [sklearn_learned.value(it) for it in sklearn_learned.columns(model)] == expected


def test_of_a_table_each_column_has_its_own() -> None:
    age, children, city = sklearn_learned.columns(frames.pipeline()[0])
    assert 30 < float(sklearn_learned.value(age)) < 55
    assert 0 <= float(sklearn_learned.value(children)) <= 4
    assert sklearn_learned.value(city) in frames.CITIES


def test_a_number_that_must_be_known_is_told_to_the_last_digit() -> None:
    assert sklearn_learned.value(Column(values=[1234567.891], strange=False)) == 1234567.891
    assert sklearn_learned.value(Column(values=[1234567.891])) == 1234570.0
