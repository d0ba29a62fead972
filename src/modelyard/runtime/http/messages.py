"""HTTP requests and responses as the endpoints see them, and a response as bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson

JSON = "application/json"
BINARY = "application/octet-stream"

_STATUS_LINES = {it.value: f"HTTP/1.1 {it.value} {it.phrase}\r\n" for it in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is the path and query as sent; names in `headers` are lower case, and the last value wins."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool = True
    http_1_0: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, orjson.dumps(content), headers=headers or {})


def error_response(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, orjson.dumps({"error": sentence}), headers=headers or {})


def head(response: Response, request: Request | None, *, close: bool) -> bytes:
    """Status line and headers. Without a request it answers something that could not be understood."""
    lines = [
        _STATUS_LINES[response.status],
        f"content-type: {response.content_type}\r\ncontent-length: {len(response.body)}\r\n",
    ]
    lines.extend(f"{name}: {value}\r\n" for name, value in response.headers.items())
    if close:
        lines.append("connection: close\r\n")
    elif request is not None and request.http_1_0:
        lines.append("connection: keep-alive\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")
