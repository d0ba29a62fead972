"""Where a model lives."""

import pytest

from modelyard.runtime.workers.placing import LARGE_BYTES, Place, place, should_move

SMALL = 1000


@pytest.mark.parametrize(
    ("model_format", "size", "wanted", "where"),
    [
        pytest.param("onnx", LARGE_BYTES * 10, None, Place.HERE, id="ONNX, however large"),
        pytest.param("sklearn", SMALL, None, Place.SHARED, id="a small model of a known library"),
        pytest.param("xgboost", SMALL, None, Place.SHARED, id="a small booster"),
        pytest.param("sklearn", LARGE_BYTES + 1, None, Place.OWN, id="a large one"),
        pytest.param("python", SMALL, None, Place.OWN, id="code of a user's"),
        pytest.param("onnx", SMALL, True, Place.OWN, id="what asks for a worker"),
        pytest.param("python", SMALL, False, Place.HERE, id="what asks for none"),
    ],
)
def test_a_model_lives(model_format: str, size: int, wanted: bool | None, where: Place):
    assert place(model_format, size, wanted) is where


@pytest.mark.parametrize(
    ("foreign", "memory_bytes", "moves"),
    [(None, SMALL, False), ("a.B", SMALL, True), (None, LARGE_BYTES + 1, True)],
)
def test_what_turns_out_to_be_large_or_foreign_moves(foreign: str | None, memory_bytes: int, moves: bool):
    assert should_move(foreign, memory_bytes) is moves
