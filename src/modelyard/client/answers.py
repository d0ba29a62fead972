"""A server's answers over REST, whether it sent JSON or raw tensors, and whether it is one of our servers at all."""

from collections.abc import Mapping
from typing import Any

import orjson

from modelyard.kit.errors import InvalidInput, ModelyardError
from modelyard.wire.oip import rest
from modelyard.wire.oip.headers import BINARY_HEADER_LENGTH
from modelyard.wire.oip.nouns import InferRequest, InferResponse


def decode(content: bytes, headers: Mapping[str, str]) -> InferResponse:
    """Raises `ModelyardError` for what is no V2 answer: it is not the caller's input that is wrong."""
    length = headers.get(BINARY_HEADER_LENGTH)
    try:
        return rest.decode_response(content, int(length) if length else None)
    except (InvalidInput, ValueError) as error:
        raise ModelyardError(f"what answered does not speak the Open Inference Protocol V2: {error}") from None


def json_of(content: bytes, headers: Mapping[str, str]) -> Mapping[str, Any]:
    """The answer as JSON, as it came; raw tensors are written out."""
    if BINARY_HEADER_LENGTH in headers:
        return in_json(decode(content, headers))
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ModelyardError(f"what answered does not speak the Open Inference Protocol V2: {error}") from None
    if not isinstance(body, dict):
        raise ModelyardError("what answered does not speak the Open Inference Protocol V2: it sent no JSON object")
    return body


def in_json(answer: InferResponse) -> Mapping[str, Any]:
    """No output raw, whatever the request asked for."""
    body: Mapping[str, Any] = orjson.loads(rest.encode_response(answer, InferRequest(inputs=())).content)
    return body
