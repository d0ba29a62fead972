"""scikit-learn models natively: inputs of any name, columns by name, outputs by method."""

from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import sklearn
from modelyard.runtime.formats.load import Options, load
from modelyard.wire.oip import raw
from modelyard.wire.oip.nouns import InferRequest, Tensor

ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 4.0]])


def read(tmp_path: Path, model: object) -> sklearn.SklearnModel:
    joblib.dump(model, tmp_path / "model.joblib")
    return sklearn.read(tmp_path / "model.joblib")


def predict(model: sklearn.SklearnModel, *tensors: Tensor) -> Tensor:
    return model.predict(model.fit(InferRequest(tuple(tensors))), model.signature.usual)[0]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_columns_may_come_one_by_one_in_any_order(tmp_path: Path):
    fitted = LinearRegression().fit(ROWS, ROWS[:, 0] * 10 + ROWS[:, 1])
    fitted.feature_names_in_ = np.array(["tens", "ones"], dtype=object)
    model = read(tmp_path, fitted)
    answer = predict(model, Tensor("ones", "INT64", np.array([2, 3])), Tensor("tens", "FP64", np.array([[4.0], [5.0]])))
    assert answer.data.tolist() == [[pytest.approx(42)], [pytest.approx(53)]]
    with pytest.raises(InvalidInput, match="input tensor 'ones' is missing"):
        predict(model, Tensor("tens", "FP64", np.array([4.0])))
    with pytest.raises(InvalidInput, match="tensor 'fives' is no column"):
        predict(model, Tensor("tens", "FP64", np.array([4.0])), Tensor("fives", "FP64", np.array([4.0])))
    with pytest.raises(InvalidInput, match=r"tensor 'ones' has shape \[2\]"):
        predict(model, Tensor("tens", "FP64", np.array([4.0])), Tensor("ones", "FP64", np.array([4.0, 5.0])))


def test_labels_keep_their_type(tmp_path: Path):
    for labels, datatype in ((["a", "b", "a", "b"], "BYTES"), ([0, 1, 0, 1], "INT64"), ([True, False] * 2, "BOOL")):
        model = read(tmp_path, LogisticRegression().fit(ROWS, labels))
        assert predict(model, Tensor("any", "FP64", ROWS)).datatype == datatype
        assert model.signature.outputs[0].datatype == datatype


def test_text_goes_in_and_a_sparse_matrix_comes_out(tmp_path: Path):
    model = read(tmp_path, OneHotEncoder().fit(np.array([["x"], ["y"]], dtype=object)))
    answer = predict(model, Tensor("t", "BYTES", raw.of_bytes([b"y", b"x"]).reshape(2, 1)))
    assert (answer.name, answer.data.tolist()) == ("transform", [[0.0, 1.0], [1.0, 0.0]])


def test_several_targets_stay_a_matrix(tmp_path: Path):
    model = read(tmp_path, LinearRegression().fit(ROWS, ROWS))
    assert predict(model, Tensor("any", "FP64", ROWS)).data.shape == (4, 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"cnot_a_package\nThing\n.", "needs the Python package 'not_a_package'"),
        (b"nothing", "cannot be unpickled"),
        (b"\x80\x04K\x05.", "holds a int, which has no 'predict' or 'transform'"),
    ],
)
def test_a_file_that_holds_no_model_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str):
    (tmp_path / "m.pkl").write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        sklearn.read(tmp_path / "m.pkl")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pickle_is_not_opened_where_pickles_are_refused(tmp_path: Path):
    (tmp_path / "m").mkdir()
    ran = tmp_path / "ran"
    (tmp_path / "m/model.pkl").write_bytes(f"cos\nmkdir\n(V{ran}\ntR.".encode())
    with pytest.raises(InvalidInput, match="is a pickle, which runs code"):
        load(tmp_path / "m", Options(pickle=False))
    assert not ran.exists()
    with pytest.raises(InvalidInput, match="NoneType"):
        load(tmp_path / "m", Options())
    assert ran.exists()
