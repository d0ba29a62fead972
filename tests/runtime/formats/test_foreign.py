"""Whose code a scikit-learn model runs."""

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelyard.runtime.formats import foreign
from tests.runtime import estimators


class Broken:
    def get_params(self, deep):
        raise KeyError(deep)


@pytest.mark.parametrize(
    ("estimator", "code"),
    [
        pytest.param(LogisticRegression(), None, id="an estimator"),
        pytest.param(make_pipeline(StandardScaler(), RandomForestClassifier()), None, id="a pipeline"),
        pytest.param(VotingClassifier([("a", LogisticRegression())]), None, id="an ensemble"),
        pytest.param(FunctionTransformer(sorted), None, id="a function of Python's own"),
        pytest.param(estimators.Fails(), "tests.runtime.estimators.Fails", id="a class of a user's"),
        pytest.param(
            make_pipeline(StandardScaler(), FunctionTransformer(estimators.doubled)),
            "tests.runtime.estimators.doubled",
            id="a user's function in a pipeline",
        ),
        pytest.param(
            ColumnTransformer([("words", CountVectorizer(tokenizer=estimators.doubled), "text")]),
            "tests.runtime.estimators.doubled",
            id="a user's function in a step of a step",
        ),
        pytest.param(Broken(), "tests.runtime.formats.test_foreign.Broken", id="a class that does not keep the rules"),
    ],
)
def test_the_code_of_others_is_named(estimator, code: str | None):
    assert foreign.code_of(estimator) == code
