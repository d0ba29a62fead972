"""The OpenAPI document of one model, from its signature: OpenAPI 3.1, whose schemas are JSON Schema 2020-12. Pure."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from modelyard.runtime.docs.subject import Subject
from modelyard.wire.oip import example
from modelyard.wire.oip.nouns import DTYPES, TensorMetadata

Json: TypeAlias = dict[str, Any]

_PARAMETERS: Json = {"type": "object", "additionalProperties": True}


def document(it: Subject) -> Json:
    signature = it.signature
    described = f"A {signature.platform} model, served by the Open Inference Protocol V2."
    return {
        "openapi": "3.1.0",
        "info": {
            "title": it.name,
            "version": it.version or "1",
            "description": f"{described} {it.note}".strip(),
        },
        "servers": [{"url": it.origin}],
        "paths": {
            it.path: {"get": _operation("metadata", "What the model takes and answers", _METADATA)},
            f"{it.path}/ready": {"get": _operation("ready", "Whether it is ready", _READY)},
            f"{it.path}/infer": {
                "post": {
                    **_operation("infer", "Predict", _ref("InferResponse"), refused=True),
                    "requestBody": _body(it),
                }
            },
            f"{it.path}/infer_stream": {
                "post": {
                    **_operation(
                        "inferStream",
                        "Predict, with the answers as server-sent events",
                        {"type": "string", "description": "events whose data is an InferResponse each"},
                        refused=True,
                        media="text/event-stream",
                    ),
                    "requestBody": _body(it),
                }
            },
        },
        "components": {
            "schemas": {
                "InferRequest": _request(signature.inputs, signature.outputs, signature.usual),
                "InferResponse": _response(signature.outputs),
                **{f"Input{n}": _tensor(each) for n, each in enumerate(signature.inputs, 1)},
                **{f"Output{n}": _tensor(each) for n, each in enumerate(signature.outputs, 1)},
                "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
            }
        },
    }


def _body(it: Subject) -> Json:
    content: Json = {"schema": _ref("InferRequest")}
    if not example.is_long(it.signature.inputs):
        content["example"] = example.request(it.signature.inputs, it.example)
    return {"required": True, "content": {"application/json": content}}


def _operation(
    name: str, summary: str, schema: Json, *, refused: bool = False, media: str = "application/json"
) -> Json:
    error = {"content": {"application/json": {"schema": _ref("Error")}}}
    responses: Json = {"200": {"description": "OK", "content": {media: {"schema": schema}}}}
    if refused:
        responses["400"] = {"description": "The request does not fit the model; the sentence says why", **error}
        responses["429"] = {"description": "Too many requests wait for the model already", **error}
    responses["default"] = {"description": "It did not work; the sentence says why", **error}
    return {"operationId": name, "summary": summary, "responses": responses}


def _request(inputs: Sequence[TensorMetadata], outputs: Sequence[TensorMetadata], usual: Sequence[str]) -> Json:
    names = [it.name for it in outputs]
    wanted = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": names} if names else {"type": "string"}, "parameters": _PARAMETERS},
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "description": "comes back in the answer"},
            "parameters": _PARAMETERS,
            "inputs": _tensors("Input", len(inputs)),
            "outputs": {
                "type": "array",
                "items": wanted,
                "description": f"which outputs to answer; without it: {', '.join(usual) or 'what the model gives'}",
            },
        },
    }


def _response(outputs: Sequence[TensorMetadata]) -> Json:
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "parameters": _PARAMETERS,
            "outputs": _tensors("Output", len(outputs)),
        },
    }


def _tensors(kind: str, count: int) -> Json:
    known = [_ref(f"{kind}{n}") for n in range(1, count + 1)]
    return {"type": "array", "items": {"anyOf": known} if known else _ANY_TENSOR}


def _tensor(it: TensorMetadata) -> Json:
    sizes: list[Json] = [{"type": "integer", "minimum": 0} if size < 0 else {"const": size} for size in it.shape]
    exact: Json = {"prefixItems": sizes, "minItems": len(sizes), "maxItems": len(sizes)} if sizes else {}
    return {
        "type": "object",
        "title": it.name,
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"const": it.name},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, **exact},
            "datatype": {"enum": sorted(DTYPES), "default": it.datatype},
            "data": {"type": "array", "description": "row by row, flat or nested"},
            "parameters": _PARAMETERS,
        },
    }


_ANY_TENSOR: Json = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"enum": sorted(DTYPES)},
        "data": {"type": "array", "description": "row by row, flat or nested"},
        "parameters": _PARAMETERS,
    },
}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_TENSOR_METADATA: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}, "description": "-1: may vary"},
        },
    },
}
_METADATA: Json = {
    "type": "object",
    "required": ["name", "platform", "inputs", "outputs"],
    "properties": {
        "name": {"type": "string"},
        "versions": {"type": "array", "items": {"type": "string"}},
        "platform": {"type": "string"},
        "inputs": _TENSOR_METADATA,
        "outputs": _TENSOR_METADATA,
    },
}
_READY: Json = {
    "type": "object",
    "required": ["name", "ready"],
    "properties": {"name": {"type": "string"}, "ready": {"type": "boolean"}},
}
