"""Inference requests and responses as HTTP bodies: JSON, and the binary tensor extension.

With the extension a body is JSON, then the raw bytes of those tensors whose parameter `binary_data_size` says so, in
their order; the header Inference-Header-Content-Length gives the length of the JSON.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import raw, shapes, values
from modelyard.wire.oip.content_types import BASE64, CONTENT_TYPE
from modelyard.wire.oip.nouns import DTYPES, InferRequest, InferResponse, Parameters, RequestedOutput, Tensor

_BINARY_SIZE = "binary_data_size"
_BINARY = "binary_data"
_BINARY_DEFAULT = "binary_data_output"
_UNSUPPORTED = ("classification", "shared_memory_region")


@dataclass(frozen=True, slots=True)
class Body:
    """`json_bytes`: the length of the JSON where raw tensors follow, else None."""

    content: bytes
    json_bytes: int | None = None


def decode_request(content: bytes, json_bytes: int | None = None) -> InferRequest:
    """Raises `InvalidInput` with one sentence."""
    message, rest = _split(content, json_bytes)
    parameters = _parameters(message, "the request")
    inputs = _tensors(message.get("inputs"), rest, "inputs", from_base64=False)
    binary = parameters.get(_BINARY_DEFAULT) is True
    return InferRequest(
        inputs=inputs,
        outputs=_requested(message.get("outputs")),
        id=_text(message, "id", "the request"),
        parameters={k: v for k, v in parameters.items() if k != _BINARY_DEFAULT} if parameters else parameters,
        binary=binary,
    )


def encode_request(request: InferRequest, *, binary_inputs: bool = False) -> Body:
    message: dict[str, Any] = {}
    if request.id:
        message["id"] = request.id
    parameters = {**request.parameters, **({_BINARY_DEFAULT: True} if request.binary else {})}
    if parameters:
        message["parameters"] = parameters
    blobs: list[bytes] = []
    message["inputs"] = [_encode_tensor(it, blobs if binary_inputs else None) for it in request.inputs]
    if request.outputs:
        message["outputs"] = [_encode_requested(it) for it in request.outputs]
    return _join(message, blobs)


def decode_response(content: bytes, json_bytes: int | None = None) -> InferResponse:
    message, rest = _split(content, json_bytes)
    return InferResponse(
        model=_text(message, "model_name", "the response"),
        version=_text(message, "model_version", "the response"),
        id=_text(message, "id", "the response"),
        parameters=_parameters(message, "the response"),
        outputs=_tensors(message.get("outputs"), rest, "outputs", from_base64=True),
    )


def encode_response(response: InferResponse, request: InferRequest) -> Body:
    """The answer, each output raw or in JSON as the request asked."""
    wishes = {it.name: it.binary for it in request.outputs}
    message: dict[str, Any] = {"model_name": response.model}
    if response.version:
        message["model_version"] = response.version
    if response.id:
        message["id"] = response.id
    if response.parameters:
        message["parameters"] = response.parameters
    blobs: list[bytes] = []
    outputs: list[dict[str, Any]] = []
    for it in response.outputs:
        wish = wishes.get(it.name)
        outputs.append(_encode_tensor(it, blobs if (request.binary if wish is None else wish) else None))
    message["outputs"] = outputs
    return _join(message, blobs)


def _split(content: bytes, json_bytes: int | None) -> tuple[Mapping[str, Any], memoryview]:
    """The JSON object and what follows it."""
    end = len(content) if json_bytes is None else json_bytes
    if not 0 <= end <= len(content):
        raise InvalidInput(f"Inference-Header-Content-Length is {json_bytes}, the body has {len(content)} bytes")
    view = memoryview(content)
    try:
        message = orjson.loads(view[:end])
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise InvalidInput("the body must be a JSON object")
    return message, view[end:]


def _join(message: Mapping[str, Any], blobs: Iterable[bytes]) -> Body:
    head = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)
    parts = list(blobs)
    return Body(b"".join([head, *parts]), len(head)) if parts else Body(head)


def _text(message: Mapping[str, Any], key: str, where: str) -> str:
    value = message.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f"'{key}' of {where} must be a string")
    return value


def _parameters(message: Mapping[str, Any], where: str) -> Parameters:
    value = message.get("parameters")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"'parameters' of {where} must be an object")
    for key in _UNSUPPORTED:
        if key in value:
            raise InvalidInput(f"{where}: the parameter '{key}' is not supported")
    return value


def _objects(value: Any, key: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Named objects of a list, each with a name of its own."""
    if not isinstance(value, list):
        raise InvalidInput(f"'{key}' must be a list")
    found: dict[str, Mapping[str, Any]] = {}
    for place, item in enumerate(value):
        if not isinstance(item, dict):
            raise InvalidInput(f"'{key}[{place}]' must be an object")
        name = item.get("name")
        if not isinstance(name, str) or not name:
            raise InvalidInput(f"'{key}[{place}]' needs a 'name'")
        if name in found:
            raise InvalidInput(f"'{key}' has two tensors named '{name}'")
        found[name] = item
    return list(found.items())


def _requested(value: Any) -> tuple[RequestedOutput, ...]:
    if value is None:
        return ()
    outputs: list[RequestedOutput] = []
    for name, item in _objects(value, "outputs"):
        parameters = _parameters(item, f"output '{name}'")
        binary = parameters.get(_BINARY)
        if binary is not None and not isinstance(binary, bool):
            raise InvalidInput(f"output '{name}': '{_BINARY}' must be true or false")
        outputs.append(RequestedOutput(name, binary, {k: v for k, v in parameters.items() if k != _BINARY}))
    return tuple(outputs)


def _encode_requested(it: RequestedOutput) -> dict[str, Any]:
    parameters = {**it.parameters, **({} if it.binary is None else {_BINARY: it.binary})}
    return {"name": it.name, **({"parameters": parameters} if parameters else {})}


def _tensors(value: Any, rest: memoryview, key: str, *, from_base64: bool) -> tuple[Tensor, ...]:
    """`from_base64`: bytes that only JSON made base64 are bytes again; else the content type is left to the model."""
    tensors: list[Tensor] = []
    for name, item in _objects(value, key):
        datatype = item.get("datatype")
        if not isinstance(datatype, str) or datatype not in DTYPES:
            raise InvalidInput(f"tensor '{name}': 'datatype' must be one of {', '.join(DTYPES)}")
        shape = shapes.check(item.get("shape"), name)
        parameters = _parameters(item, f"tensor '{name}'")
        size = parameters.get(_BINARY_SIZE)
        in_base64 = from_base64 and size is None and parameters.get(CONTENT_TYPE) == BASE64
        if size is None:
            data = values.decode(item.get("data"), datatype, shape, name, from_base64=in_base64)
        else:
            if type(size) is not int or not 0 <= size <= len(rest):
                raise InvalidInput(f"tensor '{name}': {_BINARY_SIZE} is {size}, {len(rest)} bytes are left in the body")
            if "data" in item:
                raise InvalidInput(f"tensor '{name}' has both 'data' and {_BINARY_SIZE}")
            data, rest = raw.decode(rest[:size], datatype, shape, name), rest[size:]
            parameters = {k: v for k, v in parameters.items() if k != _BINARY_SIZE}
        if in_base64:
            parameters = {k: v for k, v in parameters.items() if k != CONTENT_TYPE}
        tensors.append(Tensor(name, datatype, data, parameters))
    if len(rest):
        raise InvalidInput(f"{len(rest)} bytes after the last tensor belong to no tensor")
    return tuple(tensors)


def _encode_tensor(tensor: Tensor, blobs: list[bytes] | None) -> dict[str, Any]:
    it: dict[str, Any] = {"name": tensor.name, "shape": list(tensor.data.shape), "datatype": tensor.datatype}
    if blobs is None:
        data, needed = values.encode(tensor.data, tensor.datatype)
        if needed or tensor.parameters:
            it["parameters"] = {**tensor.parameters, **needed}
        it["data"] = data
        return it
    blob = raw.encode(tensor.data, tensor.datatype)
    blobs.append(blob)
    it["parameters"] = {**tensor.parameters, _BINARY_SIZE: len(blob)}
    return it
