"""Example requests are requests."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.oip import example, rest
from modelyard.wire.oip.nouns import DTYPES, TensorMetadata

TENSORS = st.builds(
    TensorMetadata,
    name=st.sampled_from("abc"),
    datatype=st.sampled_from(sorted(DTYPES)),
    shape=st.lists(st.integers(-1, 4), max_size=3).map(tuple),
)
HUGE = TensorMetadata("X", "FP32", (-1, 224, 224, 3))


@given(st.lists(TENSORS, min_size=1, max_size=3, unique_by=lambda it: it.name).map(tuple))
def test_an_example_is_a_valid_request_for_every_datatype(inputs: tuple[TensorMetadata, ...]) -> None:
    request = rest.decode_request(orjson.dumps(example.request(inputs)))
    assert [(it.name, it.datatype) for it in request.inputs] == [(it.name, it.datatype) for it in inputs]
    assert example.shortened(inputs) == example.request(inputs)


def test_of_a_model_that_does_not_say_what_it_takes_the_example_is_a_request_all_the_same() -> None:
    assert len(rest.decode_request(orjson.dumps(example.request(()))).inputs) == 1
    assert example.shortened(()) == example.request(())


def test_what_is_known_of_an_input_stands_in_for_zeros_where_it_fits() -> None:
    inputs = [TensorMetadata("x", "FP64", (-1, 2)), TensorMetadata("word", "BYTES", (-1,))]
    (x, word) = example.request(inputs, {"x": (1.5, 2.5), "word": ("Oslo",), "other": (1,)})["inputs"]
    assert (x["data"], word["data"]) == ([1.5, 2.5], ["Oslo"])
    (x, word) = example.request(inputs, {"x": (1.5, 2.5, 3.5)})["inputs"]
    assert (x["data"], word["data"]) == ([0.0, 0.0], [""])


@pytest.mark.parametrize(
    ("value", "datatype", "expected"),
    [(3.0, "INT64", 3), (3, "FP32", 3.0), (1, "BOOL", True), ("Oslo", "BYTES", "Oslo"), (7, "BYTES", "7")],
)
def test_a_value_is_told_in_its_datatype(value: object, datatype: str, expected: object) -> None:
    found = example.scalar(value, datatype)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "Oslo", None])
def test_what_is_no_number_is_no_example_of_one(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        example.scalar(value, "FP64")


def test_a_huge_input_is_whole_where_it_is_sent_and_short_where_it_is_read() -> None:
    assert example.is_long([HUGE])
    (tensor,) = rest.decode_request(orjson.dumps(example.request([HUGE]))).inputs
    assert tensor.data.shape == (1, 224, 224, 3)
    assert len(json.dumps(example.shortened([HUGE]))) < 200
