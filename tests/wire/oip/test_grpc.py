import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import grpc
from modelyard.wire.oip.nouns import InferRequest, InferResponse, RequestedOutput, Tensor
from tests.wire.oip.strategies import same, tensors

MANY = st.lists(tensors(), min_size=1, max_size=3, unique_by=lambda tensor: tensor.name)


@given(MANY, st.booleans())
def test_every_tensor_survives_raw_and_typed(many: list[Tensor], raw_contents: bool):
    request = InferRequest(tuple(many), (RequestedOutput("y"),), "m", "1", "i", {"flag": True, "count": 3, "text": "t"})
    message = grpc.encode_request(request, raw_contents=raw_contents)
    received = grpc.decode_request(grpc.InferRequestMessage.FromString(message.SerializeToString()))
    assert (received.model, received.version, received.id) == ("m", "1", "i")
    assert received.parameters == {"flag": True, "count": 3, "text": "t"}
    assert received.outputs == request.outputs
    assert all(same(*pair) for pair in zip(received.inputs, many, strict=True))


@given(MANY, st.booleans())
def test_an_answer_is_all_raw_or_all_typed(many: list[Tensor], raw_contents: bool):
    message = grpc.encode_response(InferResponse("m", tuple(many), "1", "i"), raw_contents=raw_contents)
    assert bool(message.raw_output_contents) == (raw_contents or any(it.datatype == "FP16" for it in many))
    assert all(same(*pair) for pair in zip(grpc.decode_response(message).outputs, many, strict=True))


def request_of(datatype: str, shape: list[int], raw: list[bytes] | None = None, **contents) -> grpc.InferRequestMessage:
    message = grpc.InferRequestMessage()
    tensor = message.inputs.add(name="x", datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(tensor.contents, field).extend(values)
    message.raw_input_contents.extend(raw or [])
    return message


@pytest.mark.parametrize(
    ("datatype", "contents", "expected"),
    [
        pytest.param("FP64", {"fp32_contents": [1.5, 2]}, [1.5, 2.0], id="floats for doubles"),
        pytest.param("FP32", {"int64_contents": [1, 2]}, [1.0, 2.0], id="integers for floats"),
        pytest.param("INT64", {"int_contents": [1, 2]}, [1, 2], id="small integers for large"),
        pytest.param("UINT8", {"fp64_contents": [1, 255]}, [1, 255], id="whole floats for integers"),
        pytest.param("INT8", {"bool_contents": [True, False]}, [1, 0], id="booleans for integers"),
    ],
)
def test_contents_in_another_field_are_taken_by_value(datatype, contents, expected):
    assert grpc.decode_request(request_of(datatype, [2], **contents)).inputs[0].data.tolist() == expected


@pytest.mark.parametrize(
    ("message", "says"),
    [
        pytest.param(request_of("INT8", [1], int_contents=[200]), "200 does not fit INT8", id="out of range"),
        pytest.param(request_of("INT8", [1], fp32_contents=[0.5]), "not a whole number", id="a fraction"),
        pytest.param(request_of("INT8", [2], int_contents=[1]), "the data holds 1", id="too little"),
        pytest.param(request_of("FP16", [1], fp32_contents=[1]), "FP16 has no typed contents", id="typed FP16"),
        pytest.param(request_of("INT8", [1]), "the data holds 0", id="no contents"),
        pytest.param(request_of("INT8", [-1], int_contents=[1]), "not negative", id="a negative shape"),
        pytest.param(request_of("FP32", [1], [b"abc"]), "takes 4 bytes, there are 3", id="too few bytes"),
        pytest.param(request_of("BOOL", [1], [b"\2"]), "must be bytes of 0 and 1", id="a boolean of two"),
        pytest.param(request_of("BYTES", [1], [b"\5\0\0\0ab"]), "end in the middle", id="a cut element"),
        pytest.param(request_of("BYTES", [1], [b"\5\0"]), "end in the middle", id="a cut length"),
        pytest.param(request_of("FP32", [1], [b"abcd"], fp32_contents=[1]), "send one of them", id="raw and typed"),
        pytest.param(
            request_of("FP32", [1], fp32_contents=[1], fp64_contents=[1]), "one field is wanted", id="two fields"
        ),
        pytest.param(request_of("FLOAT", [1], fp32_contents=[1]), "datatype must be one of", id="unknown datatype"),
    ],
)
def test_a_bad_tensor_is_refused_by_name(message, says):
    with pytest.raises(InvalidInput, match="tensor 'x'") as refused:
        grpc.decode_request(message)
    assert says in str(refused.value)


def test_raw_contents_must_be_one_for_each_tensor():
    with pytest.raises(InvalidInput, match="raw_input_contents has 2 entries for 1 input tensors"):
        grpc.decode_request(request_of("FP32", [1], [b"abcd", b"abcd"]))
