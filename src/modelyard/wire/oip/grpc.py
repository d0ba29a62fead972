"""Inference requests and responses as messages of `inference.GRPCInferenceService`."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import orjson

from modelyard.kit.errors import InvalidInput
from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from modelyard.wire._pb2.modelyard.v1 import inference_pb2 as ours
from modelyard.wire.oip import raw, shapes, typed
from modelyard.wire.oip.nouns import (
    DTYPES,
    InferRequest,
    InferResponse,
    Parameters,
    RequestedOutput,
    Tensor,
)

InferRequestMessage: TypeAlias = pb.ModelInferRequest
InferResponseMessage: TypeAlias = pb.ModelInferResponse
TritonStreamMessage: TypeAlias = ours.TritonStreamResponse


def decode_request(message: InferRequestMessage) -> InferRequest:
    """Raises `InvalidInput` with one sentence. `binary` of the result: the request used raw contents."""
    return InferRequest(
        inputs=_tensors(message.inputs, message.raw_input_contents, "input"),
        outputs=tuple(RequestedOutput(it.name, parameters=_decode_parameters(it.parameters)) for it in message.outputs),
        model=message.model_name,
        version=message.model_version,
        id=message.id,
        parameters=_decode_parameters(message.parameters),
        binary=bool(message.raw_input_contents),
    )


def encode_request(request: InferRequest, *, raw_contents: bool = True) -> InferRequestMessage:
    message = pb.ModelInferRequest(model_name=request.model, model_version=request.version, id=request.id)
    _encode_parameters(request.parameters, message.parameters)
    _encode_tensors(request.inputs, message.inputs, message.raw_input_contents, raw_contents)
    for it in request.outputs:
        _encode_parameters(it.parameters, message.outputs.add(name=it.name).parameters)
    return message


def decode_response(message: InferResponseMessage) -> InferResponse:
    return InferResponse(
        model=message.model_name,
        version=message.model_version,
        id=message.id,
        parameters=_decode_parameters(message.parameters),
        outputs=_tensors(message.outputs, message.raw_output_contents, "output"),
    )


def encode_response(response: InferResponse, *, raw_contents: bool) -> InferResponseMessage:
    """All outputs raw or all typed; FP16, which has no typed contents, makes them raw."""
    message = pb.ModelInferResponse(model_name=response.model, model_version=response.version, id=response.id)
    _encode_parameters(response.parameters, message.parameters)
    _encode_tensors(response.outputs, message.outputs, message.raw_output_contents, raw_contents)
    return message


def triton_answer(message: InferResponseMessage) -> TritonStreamMessage:
    return ours.TritonStreamResponse(infer_response=message)


def triton_failure(sentence: str, request_id: str) -> TritonStreamMessage:
    """The id tells the client which of its requests it was."""
    return ours.TritonStreamResponse(error_message=sentence, infer_response=pb.ModelInferResponse(id=request_id))


def _tensors(tensors: Any, raw_contents: Any, kind: str) -> tuple[Tensor, ...]:
    if raw_contents and len(raw_contents) != len(tensors):
        raise InvalidInput(f"raw_{kind}_contents has {len(raw_contents)} entries for {len(tensors)} {kind} tensors")
    found: dict[str, Tensor] = {}
    for place, it in enumerate(tensors):
        name, datatype = it.name, it.datatype
        if not name:
            raise InvalidInput(f"{kind} tensor {place} needs a name")
        if name in found:
            raise InvalidInput(f"there are two {kind} tensors named '{name}'")
        if datatype not in DTYPES:
            raise InvalidInput(f"tensor '{name}': datatype must be one of {', '.join(DTYPES)}")
        shape = shapes.check(tuple(it.shape), name)
        if not raw_contents:
            data = typed.decode(it.contents, datatype, shape, name)
        elif it.contents.ListFields():
            raise InvalidInput(f"tensor '{name}' has typed contents beside raw_{kind}_contents: send one of them")
        else:
            data = raw.decode(raw_contents[place], datatype, shape, name)
        found[name] = Tensor(name, datatype, data, _decode_parameters(it.parameters))
    return tuple(found.values())


def _encode_tensors(tensors: tuple[Tensor, ...], into: Any, raw_into: Any, raw_contents: bool) -> None:
    raw_contents = raw_contents or any(it.datatype == "FP16" for it in tensors)
    for it in tensors:
        message = into.add(name=it.name, datatype=it.datatype, shape=it.data.shape)
        _encode_parameters(it.parameters, message.parameters)
        if raw_contents:
            raw_into.append(raw.encode(it.data, it.datatype))
        else:
            typed.encode(it.data, it.datatype, message.contents)


def _decode_parameters(parameters: Any) -> Parameters:
    if not parameters:
        return {}
    chosen = {name: (it, it.WhichOneof("parameter_choice")) for name, it in parameters.items()}
    return {name: getattr(it, choice) for name, (it, choice) in chosen.items() if choice is not None}


def _encode_parameters(parameters: Mapping[str, Any], into: Any) -> None:
    """What protobuf cannot hold (fractions, lists) goes as JSON text; null is left out."""
    for name, value in parameters.items():
        if isinstance(value, bool):
            into[name].bool_param = value
        elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            into[name].int64_param = value
        elif isinstance(value, str):
            into[name].string_param = value
        elif value is not None:
            into[name].string_param = orjson.dumps(value).decode()
