"""Example requests are requests."""

import json
import shlex

import orjson
from hypothesis import given
from hypothesis import strategies as st

from modelyard.cli.example_request import example_command, example_request
from modelyard.wire.oip import rest
from modelyard.wire.oip.nouns import DTYPES, ModelMetadata, TensorMetadata

TENSORS = st.builds(
    TensorMetadata,
    name=st.sampled_from("abc"),
    datatype=st.sampled_from(sorted(DTYPES)),
    shape=st.lists(st.integers(-1, 4), max_size=3).map(tuple),
)


@given(st.lists(TENSORS, min_size=1, max_size=3, unique_by=lambda it: it.name).map(tuple))
def test_an_example_is_a_valid_request_for_every_datatype(inputs: tuple[TensorMetadata, ...]) -> None:
    request = rest.decode_request(orjson.dumps(example_request(ModelMetadata("m_1", ("1",), "onnx", inputs, ()))))
    assert [(it.name, it.datatype) for it in request.inputs] == [(it.name, it.datatype) for it in inputs]


def test_the_command_can_be_pasted_into_a_shell() -> None:
    metadata = ModelMetadata("iris_2", ("1",), "onnx", (TensorMetadata("X", "FP32", (-1, 4)),), ())
    command = shlex.split(example_command(metadata))
    assert command[:4] == ["modelyard", "infer", "iris", "-d"]
    assert json.loads(command[4])["inputs"][0]["shape"] == [1, 4]


def test_a_huge_input_is_not_written_out() -> None:
    metadata = ModelMetadata("m", (), "", (TensorMetadata("X", "FP32", (-1, 224, 224, 3)),), ())
    assert len(example_command(metadata)) < 300
