"""Answers over REST, raw or not, V2 or not."""

import numpy as np
import pytest

from modelyard.client.answers import decode, in_json, json_of
from modelyard.kit.errors import InvalidInput, ModelyardError
from modelyard.wire.oip import rest
from modelyard.wire.oip.nouns import InferRequest, InferResponse, Tensor

ANSWER = InferResponse("m_1", (Tensor("y", "FP32", np.array([[1.5, 2]], dtype=np.float32)),), id="i")
JSON = {
    "model_name": "m_1",
    "id": "i",
    "outputs": [{"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.0]}],
}


@pytest.mark.parametrize("binary", [False, True])
def test_an_answer_is_the_same_raw_or_in_json(binary: bool) -> None:
    body = rest.encode_response(ANSWER, InferRequest((), binary=binary))
    headers = {"inference-header-content-length": str(body.json_bytes)} if body.json_bytes else {}
    assert bool(headers) is binary
    np.testing.assert_array_equal(decode(body.content, headers).outputs[0].data, ANSWER.outputs[0].data)
    assert json_of(body.content, headers) == in_json(ANSWER) == JSON


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b"", b'{"outputs": 3}'])
def test_what_is_no_v2_answer_is_not_the_callers_fault(content: bytes) -> None:
    with pytest.raises(ModelyardError, match="does not speak the Open Inference Protocol") as caught:
        decode(content, {})
    assert not isinstance(caught.value, InvalidInput)
    if content != b'{"outputs": 3}':
        with pytest.raises(ModelyardError, match="does not speak the Open Inference Protocol"):
            json_of(content, {})
    with pytest.raises(ModelyardError, match="does not speak the Open Inference Protocol"):
        decode(b"{}", {"inference-header-content-length": "x"})
