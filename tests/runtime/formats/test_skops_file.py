"""scikit-learn models from .skops files: what they predict, and that they run nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.load import Options, load
from modelyard.wire.oip.nouns import InferRequest, Tensor

IRIS, KIND = load_iris(return_X_y=True)


def ours(_rows: Any) -> Any:
    raise AssertionError("code of the artifact ran")


@pytest.mark.parametrize("pickle", [True, False])
def test_a_pipeline_is_served_also_where_pickles_are_refused(tmp_path: Path, pickle: bool):
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(IRIS, KIND)
    skops.io.dump(fitted, tmp_path / "model.skops")
    model = load(tmp_path, Options(pickle=pickle)).model
    outputs = model.predict(model.fit(InferRequest((Tensor("x", "FP64", IRIS),))), ["predict", "predict_proba"])
    assert np.array_equal(outputs[0].data[:, 0], fitted.predict(IRIS))
    assert np.array_equal(outputs[1].data, fitted.predict_proba(IRIS))
    assert model.signature.platform == "sklearn"


def test_a_type_that_skops_does_not_trust_is_named_and_not_loaded(tmp_path: Path):
    skops.io.dump(FunctionTransformer(ours), tmp_path / "model.skops")
    with pytest.raises(InvalidInput) as refused:
        load(tmp_path, Options())
    assert str(refused.value) == (
        "model.skops holds types that skops does not trust, so it is not loaded: "
        "tests.runtime.formats.test_skops_file.ours"
    )


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04"])
def test_a_file_that_is_none_is_refused_in_one_sentence(tmp_path: Path, content: bytes):
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        load(tmp_path, Options())
    assert str(refused.value).startswith("skops cannot load model.skops: ")
    assert "\n" not in str(refused.value)


def test_a_pickle_by_another_name_is_not_opened(tmp_path: Path):
    ran = tmp_path / "ran"
    (tmp_path / "model.skops").write_bytes(f"cos\nmkdir\n(V{ran}\ntR.".encode())
    with pytest.raises(InvalidInput):
        load(tmp_path, Options(pickle=False))
    assert not ran.exists()
