"""HTTP requests and responses as the endpoints see them, and a response as bytes.

The classes are not frozen: one of each is made for every request, and freezing would triple what that costs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias

import orjson

from modelyard.runtime.http.incoming import Incoming

JSON = "application/json"
BINARY = "application/octet-stream"
GRPC = "application/grpc"
EVENTS = "text/event-stream"

_NO_HEADERS: Mapping[str, str] = {}
_STATUS_LINES = {it.value: f"HTTP/1.1 {it.value} {it.phrase}\r\n" for it in HTTPStatus}


@dataclass(slots=True)
class Request:
    """`target` is the path and query as sent; names in `headers` are lower case, and the last value wins.

    `incoming`: the body where the request was handed over at its head; `body` is empty then.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    keep_alive: bool = True
    http_1_0: bool = False
    incoming: Incoming | None = None


@dataclass(slots=True)
class Response:
    """`trailers`: the body goes in one chunk, and these behind it."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    trailers: Mapping[str, str] | None = None


@dataclass(slots=True)
class Streamed:
    """A response whose body comes in pieces. A mapping among them is the last: the trailers."""

    content_type: str
    pieces: AsyncIterator[bytes | Mapping[str, str]]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Later:
    """A response that takes time: what `finish` makes of the future once it is done. It is cancelled when nobody wants
    it any more.

    While a future waits that is no task, the requests behind it on the connection are asked too: they may share a call
    with it. `finish` never raises; what it makes may take time again.
    """

    future: "asyncio.Future[Any]"
    finish: "Callable[[asyncio.Future[Any]], Response | Streamed | Later]"


Answer: TypeAlias = Response | Later


class Handler(Protocol):
    """What answers the requests of a listener."""

    def answer(self, request: Request) -> Answer:
        """Never raises."""
        ...

    def streams(self, target: str) -> bool:
        """Whether a request for this is handed over at its head, its body to come."""
        ...


def later(answer: "Awaitable[Response | Streamed]") -> Later:
    """Of what never raises."""
    return Later(asyncio.ensure_future(answer), _result)


def _result(done: "asyncio.Future[Response | Streamed]") -> "Response | Streamed":
    return given_up() if done.cancelled() else done.result()


def given_up() -> Response:
    return error_response(503, "the server gave this request up")


def json_response(content: object, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    return Response(status, orjson.dumps(content), JSON, headers)


def error_response(status: int, sentence: str, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    return Response(status, orjson.dumps({"error": sentence}), JSON, headers)


def encoded(response: Response, request: Request | None, *, close: bool) -> list[bytes]:
    """Head and body, as parts. Without a request it answers something that could not be understood."""
    body = response.body
    whole = response.trailers is None
    framing = f"content-length: {len(body)}\r\n" if whole else "transfer-encoding: chunked\r\n"
    start = head(response.status, response.content_type, framing, response.headers, request, close=close)
    if request is not None and request.method == "HEAD":
        return [start]
    if response.trailers is None:
        return [start, body] if body else [start]
    return [start, *chunk(body), last_chunk(response.trailers)]


def head(
    status: int,
    content_type: str,
    framing: str,
    headers: Mapping[str, str],
    request: Request | None,
    *,
    close: bool,
) -> bytes:
    """Status line and headers; `framing` is the header that says where the body ends, or nothing."""
    lines = [_start(status, content_type), framing]
    if headers:
        lines.extend(f"{name}: {value}\r\n" for name, value in headers.items())
    if close:
        lines.append("connection: close\r\n")
    elif request is not None and request.http_1_0:
        lines.append("connection: keep-alive\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1", "replace")


@lru_cache(64)
def _start(status: int, content_type: str) -> str:
    return f"{_STATUS_LINES[status]}content-type: {content_type}\r\n"


def chunk(data: bytes) -> tuple[bytes, ...]:
    """Nothing for nothing: an empty chunk would end the body."""
    return (b"%x\r\n" % len(data), data, b"\r\n") if data else ()


def last_chunk(trailers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
    return f"0\r\n{lines}\r\n".encode("latin-1", "replace")
