"""ONNX graphs: signatures, datatypes, and what cannot be served."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from onnx import TensorProto, helper

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import onnx
from modelyard.wire.oip import raw
from modelyard.wire.oip.nouns import DTYPES, InferRequest, Tensor, TensorMetadata
from tests.runtime import artifacts
from tests.wire.oip.strategies import same, tensors


@pytest.fixture(scope="module")
def identities(tmp_path_factory) -> dict[str, onnx.OnnxModel]:
    folder = tmp_path_factory.mktemp("identities")
    models = {}
    for datatype in artifacts.ONNX_TYPES:
        artifacts.file(folder, f"{datatype}.onnx", artifacts.identity(datatype))
        models[datatype] = onnx.read(folder / f"{datatype}.onnx", intra_op_threads=1)
    return models


@given(tensor=tensors())
def test_every_datatype_goes_in_and_comes_out(identities, tensor: Tensor):
    flat = tensor.data.reshape(-1)
    if tensor.datatype == "BYTES":  # ONNX strings are text
        flat = raw.of_bytes(element.hex().encode() for element in flat)
    given_ = Tensor("x", tensor.datatype, flat)
    model = identities[tensor.datatype]
    (answer,) = model.predict(model.fit(InferRequest((given_,))), ["y"])
    assert same(answer, Tensor("y", tensor.datatype, flat))


def test_every_datatype_is_in_the_signature(identities):
    for datatype, model in identities.items():
        assert model.signature.inputs == (TensorMetadata("x", datatype, (-1,)),)
        assert model.signature.usual == ("y",)


def test_bytes_that_are_no_text_are_refused(identities):
    with pytest.raises(InvalidInput, match="tensor 'x': the model takes text"):
        identities["BYTES"].fit(InferRequest((Tensor("x", "BYTES", raw.of_bytes([b"\xff"])),)))


def graph(path: Path, node: object, inputs: list[object], outputs: list[object]) -> Path:
    path.write_bytes(artifacts.graph_bytes(helper.make_graph([node], "g", inputs, outputs)))
    return path


def test_an_output_that_v2_has_no_name_for_is_refused_when_loading(tmp_path: Path):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    sequence = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    path = graph(tmp_path / "m.onnx", helper.make_node("SequenceConstruct", ["x"], ["y"]), [value], [sequence])
    with pytest.raises(InvalidInput, match=r"output 'y' is a seq\(tensor\(float\)\), which this server cannot serve"):
        onnx.read(path, intra_op_threads=1)


def test_what_the_graph_cannot_take_is_not_the_servers_fault(tmp_path: Path):
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "m"]) for name in ("a", "b")]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "m"])
    model = onnx.read(
        graph(tmp_path / "m.onnx", helper.make_node("MatMul", ["a", "b"], ["y"]), inputs, [output]), intra_op_threads=1
    )
    ones = np.ones((2, 3), dtype=DTYPES["FP32"])
    with pytest.raises(InvalidInput, match="the model cannot take these inputs"):
        model.predict(
            model.fit(
                InferRequest(
                    (
                        Tensor("a", "FP32", ones),
                        Tensor("b", "FP32", ones),
                    )
                )
            ),
            ["y"],
        )


def test_a_scalar_input_takes_a_scalar(tmp_path: Path):
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in "xy"]
    path = graph(tmp_path / "m.onnx", helper.make_node("Neg", ["x"], ["y"]), info[:1], info[1:])
    model = onnx.read(path, intra_op_threads=1)
    (answer,) = model.predict(model.fit(InferRequest((Tensor("x", "FP32", np.array(2, dtype=DTYPES["FP32"])),))), ["y"])
    assert (answer.data.shape, answer.data.tolist()) == ((), -2.0)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match=r"ONNX Runtime cannot load m\.onnx"):
        onnx.read(tmp_path / "m.onnx", intra_op_threads=1)
