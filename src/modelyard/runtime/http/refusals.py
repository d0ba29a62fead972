"""A refusal in the words of the protocol that the request came in: HTTP, or gRPC over HTTP/1.1."""

from collections.abc import Mapping
from urllib.parse import quote

import grpc

from modelyard.runtime.http.messages import GRPC, Response, error_response

_NOTHING: Mapping[str, str] = {}
_GRPC_STATUS = {
    400: grpc.StatusCode.INTERNAL,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    431: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
# What grpc-message leaves as it is: printable ASCII, but for the per cent sign.
_SAFE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def is_grpc(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith(GRPC)


def refusal(headers: Mapping[str, str], status: int, sentence: str) -> Response:
    """Of a request with these headers, which went no further than HTTP."""
    if is_grpc(headers):
        return grpc_refusal(_GRPC_STATUS.get(status, grpc.StatusCode.INTERNAL), sentence)
    return error_response(status, sentence)


def grpc_refusal(status: grpc.StatusCode, sentence: str, more: Mapping[str, str] = _NOTHING) -> Response:
    """Headers only: a proxy sees them as those of a response that ends with them."""
    return Response(200, b"", GRPC, {**grpc_status(status, sentence), **more})


def grpc_status(status: grpc.StatusCode, sentence: str) -> dict[str, str]:
    return {"grpc-status": str(status.value[0]), "grpc-message": quote(sentence, safe=_SAFE)}
