import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import content_types, rest
from modelyard.wire.oip.nouns import InferRequest, InferResponse, RequestedOutput, Tensor
from tests.wire.oip.strategies import same, tensors


def body(**changes):
    tensor = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]} | changes
    return orjson.dumps({"inputs": [{key: value for key, value in tensor.items() if value is not ...}]})


@given(tensors(finite=True))
def test_every_tensor_survives_json(tensor: Tensor):
    sent = rest.encode_request(InferRequest((tensor,), id="7", parameters={"a": 1}))
    assert sent.json_bytes is None
    received = rest.decode_request(sent.content)
    assert (received.id, received.parameters) == ("7", {"a": 1})
    # Bytes that are no text travel as base64, and say so.
    assert same(content_types.as_bytes(received)[0], tensor)


@given(st.lists(tensors(), min_size=1, max_size=3, unique_by=lambda tensor: tensor.name))
def test_every_tensor_survives_the_binary_extension(many: list[Tensor]):
    sent = rest.encode_request(InferRequest(tuple(many), binary=True), binary_inputs=True)
    received = rest.decode_request(sent.content, sent.json_bytes)
    assert received.binary
    assert all(same(*pair) for pair in zip(received.inputs, many, strict=True))


@given(st.lists(tensors(finite=True), min_size=1, max_size=3, unique_by=lambda tensor: tensor.name), st.data())
def test_each_output_is_answered_raw_or_in_json_as_it_was_asked_for(many: list[Tensor], data):
    wishes = tuple(RequestedOutput(it.name, data.draw(st.sampled_from([None, True, False]))) for it in many)
    request = InferRequest((), wishes, binary=data.draw(st.booleans()))
    response = InferResponse("m", tuple(many), version="1", id="i")
    sent = rest.encode_response(response, request)
    received = rest.decode_response(sent.content, sent.json_bytes)
    assert (received.model, received.version, received.id) == ("m", "1", "i")
    assert all(same(*pair) for pair in zip(received.outputs, many, strict=True))
    message = orjson.loads(sent.content[: sent.json_bytes])
    for wish, output in zip(wishes, message["outputs"], strict=True):
        assert ("data" not in output) == (request.binary if wish.binary is None else wish.binary)


@pytest.mark.parametrize("text", ["NaN", "inf"])
def test_what_json_has_no_number_for_is_written_as_null(text):
    tensor = rest.decode_request(body(data=[1, None])).inputs[0]
    tensor.data[0] = float(text)
    answer = rest.encode_response(InferResponse("m", (tensor,)), InferRequest(()))
    assert orjson.loads(answer.content)["outputs"][0]["data"] == [None, None]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"data": [[1, 2], [3, 4]], "shape": [2, 2]}, id="nested as the shape says"),
        pytest.param({"data": [1, 2, 3, 4], "shape": [2, 2]}, id="flat"),
        pytest.param({"data": [True, 2, 3.0, 4], "shape": [2, 2], "datatype": "INT8"}, id="numbers of every kind"),
    ],
)
def test_data_may_be_nested_or_flat(changes):
    assert rest.decode_request(body(**changes)).inputs[0].data.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"data": [1, 2, 3]}, "shape [2] means 2 elements, the data holds 3", id="too much data"),
        pytest.param({"data": [[1, 2]]}, "nested as [1, 2], its shape says [2]", id="nested against the shape"),
        pytest.param({"data": [[1], [2, 3]]}, "not all of the same length", id="ragged"),
        pytest.param({"data": [[1], 2]}, "not all of the same length", id="half nested"),
        pytest.param({"data": ["1", "2"]}, "FP32 data must be numbers", id="strings for numbers"),
        pytest.param({"data": [{}, {}]}, "FP32 data must be numbers", id="objects for numbers"),
        pytest.param({"data": [1, None], "datatype": "INT8"}, "INT8 data must be numbers", id="null for an integer"),
        pytest.param({"data": [1, 2], "datatype": "BYTES"}, "BYTES data must be strings", id="numbers for strings"),
        pytest.param({"data": [300, 1], "datatype": "UINT8"}, "300 does not fit UINT8", id="out of range"),
        pytest.param({"data": 5}, "'data' must be a list", id="data is no list"),
        pytest.param({"data": ...}, "'data' must be a list", id="no data"),
        pytest.param({"shape": [-1]}, "'shape' must hold whole numbers", id="a negative shape"),
        pytest.param({"shape": [1.0]}, "'shape' must hold whole numbers", id="a fractional shape"),
        pytest.param({"shape": "2"}, "'shape' must be a list", id="shape is no list"),
        pytest.param({"shape": [10**18, 10**18, 0], "data": []}, "is too large", id="an absurd shape of nothing"),
        pytest.param({"datatype": "FLOAT"}, "'datatype' must be one of BOOL", id="an unknown datatype"),
        pytest.param({"datatype": []}, "'datatype' must be one of BOOL", id="datatype is no string"),
        pytest.param({"parameters": {"binary_data_size": 8}, "data": ...}, "0 bytes are left", id="no binary data"),
        pytest.param({"parameters": {"shared_memory_region": "r"}}, "is not supported", id="shared memory"),
        pytest.param({"parameters": 3}, "must be an object", id="parameters are no object"),
    ],
)
def test_a_bad_tensor_is_refused_by_name(changes, says):
    with pytest.raises(InvalidInput, match="tensor 'x'") as refused:
        rest.decode_request(body(**changes))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("content", "json_bytes", "says"),
    [
        (b"", None, "the body is not JSON"),
        (b"[]", None, "must be a JSON object"),
        (b"{}", None, "'inputs' must be a list"),
        (b'{"inputs": [1]}', None, "'inputs[0]' must be an object"),
        (b'{"inputs": [{}]}', None, "'inputs[0]' needs a 'name'"),
        (b'{"inputs": [], "id": 5}', None, "'id' of the request must be a string"),
        (b'{"inputs": [], "outputs": [{"name": "a"}, {"name": "a"}]}', None, "two tensors named 'a'"),
        (b'{"inputs": []}', 99, "Inference-Header-Content-Length is 99"),
        (b'{"inputs": []}abc', 14, "3 bytes after the last tensor"),
    ],
)
def test_a_bad_body_is_refused_with_a_sentence(content, json_bytes, says):
    with pytest.raises(InvalidInput) as refused:
        rest.decode_request(content, json_bytes)
    assert says in str(refused.value)


@given(st.binary(max_size=60), st.sampled_from(["BOOL", "INT32", "FP64", "BYTES"]), st.lists(st.integers(0, 9)))
def test_arbitrary_raw_bytes_are_a_tensor_or_refused(blob, datatype, shape):
    head = orjson.dumps(
        {"inputs": [{"name": "x", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(blob)}}]}
    )
    try:
        tensor = rest.decode_request(head + blob, len(head)).inputs[0]
    except InvalidInput as error:
        refusal = str(error)
    else:
        assert tensor.data.shape == tuple(shape)
        return
    assert "'x'" in refusal
