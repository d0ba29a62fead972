"""Grouping and splitting, as tables and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.runtime.batching import Limits, has_rows, join, share, split
from modelyard.runtime.model import Signature
from modelyard.wire.oip.nouns import Tensor, TensorMetadata


def signature(inputs, outputs) -> Signature:
    def described(shapes):
        return tuple(TensorMetadata(f"t{place}", "FP32", shape) for place, shape in enumerate(shapes))

    return Signature("onnx", described(inputs), described(outputs), ())


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        pytest.param([(-1, 4)], [(-1,), (-1, 3)], True, id="rows in and out"),
        pytest.param([(1, 4)], [(-1,)], False, id="an input of one row"),
        pytest.param([(-1, 4)], [(-1,), (3,)], False, id="an output of three elements"),
        pytest.param([(-1, 4), ()], [(-1,)], False, id="an input without dimensions"),
        pytest.param([], [(-1,)], False, id="nothing goes in"),
    ],
)
def test_a_model_has_rows_where_every_first_dimension_may_vary(inputs, outputs, expected):
    assert has_rows(signature(inputs, outputs)) is expected


def rows(*shape, dtype=np.float32):
    return np.zeros(shape, dtype=dtype)


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param({"x": rows(0, 4)}, id="no rows"),
        pytest.param({"x": rows(2, 4), "y": rows(1, 4)}, id="not as many rows in every input"),
        pytest.param({"x": rows()}, id="a scalar"),
        pytest.param({"x": rows(8, 1)}, id="as many rows as a call takes"),
        pytest.param({"x": rows(1, 250)}, id="as many bytes as a call takes"),
    ],
)
def test_such_requests_run_alone(inputs):
    assert share(inputs, ["y"], Limits(rows=8, input_bytes=1000)) is None


@pytest.mark.parametrize(
    ("inputs", "outputs", "together"),
    [
        pytest.param({"x": rows(3, 4)}, ["y"], True, id="another number of rows"),
        pytest.param({"x": rows(1, 5)}, ["y"], False, id="another width"),
        pytest.param({"x": rows(1, 4, dtype=np.float64)}, ["y"], False, id="another type"),
        pytest.param({"z": rows(1, 4)}, ["y"], False, id="another name"),
        pytest.param({"x": rows(1, 4)}, ["y", "z"], False, id="another output as well"),
    ],
)
def test_only_requests_of_one_kind_go_together(inputs, outputs, together):
    one = share({"x": rows(1, 4)}, ["y"], Limits())
    other = share(inputs, outputs, Limits())
    assert one is not None
    assert other is not None
    assert (one.kind == other.kind) is together


@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=8), width=st.integers(0, 3))
def test_what_is_joined_is_split_into_what_it_was(counts: list[int], width: int):
    random = np.random.default_rng(0)
    requests = [{"x": random.normal(size=(count, width)), "s": rows(count, dtype=object)} for count in counts]
    joined = join(requests)
    parts = split([Tensor("x", "FP64", joined["x"]), Tensor("s", "BYTES", joined["s"])], counts)
    assert parts is not None
    for request, part in zip(requests, parts, strict=True):
        assert [it.name for it in part] == ["x", "s"]
        assert all(np.array_equal(it.data, request[it.name]) for it in part)


@pytest.mark.parametrize("shape", [(4, 2), (), (2,)])
def test_outputs_without_a_row_for_each_input_row_are_not_split(shape):
    assert split([Tensor("y", "FP32", rows(*shape))], [1, 2]) is None
