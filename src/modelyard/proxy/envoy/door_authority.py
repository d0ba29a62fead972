"""Envoy's question before it lets a request for a cold model pass: "may this one go on?" Asked by `ext_authz`.

The answer may take as long as a load takes; the request waits. A no is a sentence, which the client sees with a 503.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import attribute_context_pb2, external_auth_pb2
from envoy.type.v3 import http_status_pb2

from modelyard.proxy.envoy.door_scopes import MODEL_EXTENSION
from modelyard.proxy.envoy.scopes import NOT_LOADED_HEADER

SERVICE: str = external_auth_pb2.DESCRIPTOR.services_by_name["Authorization"].full_name

# Bring the model into memory. None: it is there; else why it cannot be.
Activate: TypeAlias = Callable[[str], Awaitable[str | None]]


def handler(activate: Activate) -> grpc.GenericRpcHandler:
    async def check(
        request: external_auth_pb2.CheckRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> external_auth_pb2.CheckResponse:
        asked: attribute_context_pb2.AttributeContext = request.attributes
        refusal = await activate(asked.context_extensions[MODEL_EXTENSION])
        return _yes() if refusal is None else _no(refusal)

    method = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=external_auth_pb2.CheckRequest.FromString,
        response_serializer=external_auth_pb2.CheckResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"Check": method})


def _yes() -> external_auth_pb2.CheckResponse:
    return external_auth_pb2.CheckResponse(ok_response=external_auth_pb2.OkHttpResponse())


def _no(sentence: str) -> external_auth_pb2.CheckResponse:
    marked = base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=NOT_LOADED_HEADER, value="true"))
    answer = external_auth_pb2.CheckResponse(
        denied_response=external_auth_pb2.DeniedHttpResponse(
            status=http_status_pb2.HttpStatus(code=http_status_pb2.ServiceUnavailable), headers=[marked], body=sentence
        ),
    )
    answer.status.code = grpc.StatusCode.UNAVAILABLE.value[0]
    return answer
