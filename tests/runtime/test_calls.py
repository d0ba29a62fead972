"""Several requests as few calls of a native model: each is answered as if it had been alone."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from modelyard.kit.errors import InvalidInput, ModelyardError
from modelyard.runtime import calls
from modelyard.runtime.errors import ModelFailed
from modelyard.runtime.formats.load import LoadedModel, Options, load
from modelyard.wire.oip.nouns import InferRequest, RequestedOutput, Tensor
from tests.runtime import artifacts, estimators


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("calls")
    data, labels = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    artifacts.pickled(folder, "forest", RandomForestClassifier(5, random_state=0).fit(data, names[labels]))
    return load(folder / "forest", Options())


@st.composite
def request(draw) -> InferRequest:
    width = draw(st.sampled_from([4, 4, 4, 4, 3]))
    rows = draw(st.lists(st.lists(st.floats(0, 8), min_size=width, max_size=width), max_size=4))
    wished = draw(st.lists(st.sampled_from(["predict", "predict_proba", "no"]), max_size=2, unique=True))
    data = np.array(rows, dtype=np.float64).reshape(-1, width)
    return InferRequest((Tensor("x", "FP64", data),), tuple(RequestedOutput(it) for it in wished))


def plain(outcome):
    if isinstance(outcome, ModelyardError):
        return type(outcome), str(outcome)
    return [(it.name, it.datatype, it.data.shape, it.data.dtype, it.data.tolist()) for it in outcome]


@settings(deadline=None, max_examples=50)
@given(st.lists(request(), max_size=8))
def test_any_mix_of_requests_is_answered_as_each_alone(forest: LoadedModel, requests: list[InferRequest]):
    assert forest.batching is not None
    together = [plain(it) for it in calls.run(forest, requests)]
    assert together == [plain(it) for one in requests for it in calls.run(forest, [one])]


def counting(folder: Path, **limits) -> LoadedModel:
    """A model that answers each row with the number of rows in its call, and fails for negative ones."""
    artifacts.pickled(folder, "counts", estimators.Counts())
    return load(folder / "counts", Options(), artifacts.order(batch="true", **limits))


def of(*values: float) -> InferRequest:
    return InferRequest((Tensor("x", "FP64", np.array(values).reshape(-1, 1)),))


def test_a_call_takes_no_more_than_its_limits(tmp_path: Path):
    found = calls.run(counting(tmp_path, max_batch_size="2"), [of(0), of(0), of(0, 0, 0), of(0)])
    assert [int(it[0].data[0, 0]) for it in found] == [2, 2, 4, 4]


def test_one_that_fails_fails_alone_and_each_error_is_its_own(tmp_path: Path):
    good, failed, refused, also_good = calls.run(counting(tmp_path), [of(1), of(-1), InferRequest(()), of(2)])
    assert [int(it[0].data[0, 0]) for it in (good, also_good)] == [1, 1]
    assert isinstance(failed, ModelFailed)
    assert isinstance(refused, InvalidInput)
