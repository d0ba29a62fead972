import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip.cast import cast
from modelyard.wire.oip.nouns import DTYPES

INTEGERS = [name for name in DTYPES if "INT" in name]


@pytest.mark.parametrize(
    ("values", "source", "target", "expected"),
    [
        pytest.param([1.0, 2.0], "FP64", "INT8", [1, 2], id="whole floats become integers"),
        pytest.param([255], "INT64", "UINT8", [255], id="the largest value fits"),
        pytest.param([0.1], "FP64", "FP32", [np.float32(0.1)], id="rounding is allowed"),
        pytest.param([float("inf")], "FP64", "FP32", [float("inf")], id="infinity stays infinity"),
        pytest.param([True, False], "BOOL", "FP32", [1.0, 0.0], id="booleans are one and zero"),
        pytest.param([0, 1], "INT64", "BOOL", [False, True], id="one and zero are booleans"),
        pytest.param([], "FP64", "INT8", [], id="nothing becomes nothing"),
    ],
)
def test_a_value_that_fits_is_taken(values, source, target, expected):
    cast_to = cast(np.array(values, dtype=DTYPES[source]), target, "x")
    assert cast_to.dtype == DTYPES[target]
    assert cast_to.tolist() == expected


@pytest.mark.parametrize(
    ("values", "source", "target", "says"),
    [
        pytest.param([1.5], "FP64", "INT32", "1.5 is not a whole number", id="a fraction"),
        pytest.param([float("nan")], "FP64", "INT32", "nan is not a whole number", id="not a number"),
        pytest.param([256], "INT64", "UINT8", "256 does not fit UINT8", id="too large"),
        pytest.param([-1], "INT64", "UINT64", "-1 does not fit UINT64", id="negative for unsigned"),
        pytest.param([2.0**63], "FP64", "INT64", "does not fit INT64", id="one more than the largest"),
        pytest.param([2], "INT64", "BOOL", "2 does not fit BOOL", id="two is no boolean"),
        pytest.param([1e300], "FP64", "FP32", "1e+300 does not fit FP32", id="beyond float32"),
        pytest.param([70000], "INT32", "FP16", "70000 does not fit FP16", id="beyond float16"),
        pytest.param([1], "INT64", "BYTES", "INT64 data cannot be turned into BYTES", id="numbers are no bytes"),
        pytest.param([b"1"], "BYTES", "INT64", "BYTES data cannot be turned into INT64", id="bytes are no numbers"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_the_tensors_name(values, source, target, says):
    with pytest.raises(InvalidInput, match="tensor 'x'") as refused:
        cast(np.array(values, dtype=DTYPES[source]), target, "x")
    assert says in str(refused.value)


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5),
    st.sampled_from(INTEGERS),
)
def test_integers_keep_their_value_or_are_refused(values, target):
    limits = np.iinfo(DTYPES[target])
    fits = all(limits.min <= value <= limits.max for value in values)
    try:
        assert cast(np.array(values, dtype=np.int64), target, "x").tolist() == values
        assert fits
    except InvalidInput:
        assert not fits
