"""Whether a LightGBM file is whole, on what LightGBM writes and on every kind of damage to its length."""

from pathlib import Path

import lightgbm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris

from modelyard.runtime.formats.lightgbm_text import problem

QUIET = {"verbosity": -1, "num_threads": 1}


def written(rounds: int, **params: object) -> bytes:
    dataset = lightgbm.Dataset(*load_iris(return_X_y=True))
    return lightgbm.train({**QUIET, **params}, dataset, rounds).model_to_string().encode()


def untrained() -> bytes:
    return lightgbm.Booster(QUIET, lightgbm.Dataset(*load_iris(return_X_y=True))).model_to_string().encode()


WHOLE = written(5, objective="multiclass", num_class=3)
TREES = WHOLE.index(b"Tree=0")
END = WHOLE.index(b"end of trees")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(WHOLE, id="several classes"),
        pytest.param(written(1), id="one tree"),
        pytest.param(written(3, linear_tree=True), id="linear trees"),
        pytest.param(written(3, min_data_in_leaf=1000), id="trees without a split"),
        pytest.param(untrained(), id="no tree"),
        pytest.param(b"tree\nnum_class=1\nTree=0\n", id="an old header"),
    ],
)
def test_what_lightgbm_writes_is_whole(content: bytes):
    assert problem(content) is None


def test_a_saved_file_is_whole(tmp_path: Path):
    booster = lightgbm.Booster(model_str=WHOLE.decode())
    booster.save_model(tmp_path / "model.txt")
    assert problem((tmp_path / "model.txt").read_bytes()) is None


@given(st.integers(TREES, END - 1))
def test_a_file_that_ends_within_its_trees_is_not_whole(length: int):
    assert problem(WHOLE[:length]) is not None


PARAMETERS = WHOLE.index(b"parameters:") + len(b"parameters:")


@given(st.integers(PARAMETERS, WHOLE.index(b"end of parameters")))
def test_a_file_that_ends_within_its_parameters_is_not_whole(length: int):
    assert problem(WHOLE[:length]) == "it ends before its parameters do"


@given(st.integers(TREES + 6, END - 1), st.integers(1, 300))
def test_a_file_with_a_hole_in_its_trees_is_not_whole(place: int, length: int):
    assert problem(WHOLE[:place] + WHOLE[min(place + length, END) :]) is not None


def test_a_file_whose_line_ends_were_changed_is_not_whole():
    assert problem(WHOLE.replace(b"\n", b"\r\n")) == "tree 2 of 15 is not where its header says"


def test_a_file_that_was_cut_off_says_so():
    assert problem(WHOLE[: END - 1]) == "it ends before its 15 trees do"
