"""HTTP requests and responses as the endpoints see them, and a response as bytes.

The classes are not frozen: one of each is made for every request, and freezing would triple what that costs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
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
_CHUNKED = b"transfer-encoding: chunked\r\n"
_STATUS_LINES = {it.value: f"HTTP/1.1 {it.value} {it.phrase}\r\n" for it in HTTPStatus}


@dataclass(slots=True)
class Request:
    """`target` is the path and query as sent; names in `headers` are lower case, and the last value wins. Some that
    nobody here reads (`accept`, `user-agent`) are left out.

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
    """`trailers`: the body goes in one chunk, and these lines behind it."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    trailers: bytes | None = None


@dataclass(slots=True)
class Streamed:
    """A response whose body comes in pieces. A mapping among them is the last: the trailers."""

    content_type: str
    pieces: AsyncIterator[bytes | Mapping[str, str]]
    headers: Mapping[str, str] = field(default_factory=dict)


class Later:
    """A response that takes time. Whoever makes it calls `give`, once; `cancel` is called when nobody wants it more.

    `shares`: while it is missing, the requests behind it on the connection are asked too, as they may share a call with
    it.
    """

    __slots__ = ("cancel", "found", "shares", "tell")

    def __init__(self, cancel: Callable[[], object] | None = None, *, shares: bool = False) -> None:
        self.cancel: Callable[[], object] = cancel or _nothing
        self.shares = shares
        self.found: Response | Streamed | None = None
        self.tell: Callable[[], object] = _nothing

    def give(self, answer: "Response | Streamed | Later") -> None:
        """The answer, or one that takes still longer."""
        if isinstance(answer, Later):
            self.cancel = answer.cancel
            answer.tell = lambda: self.give(answer.found) if answer.found is not None else None
            return
        self.found = answer
        self.tell()


def _nothing() -> None:
    pass


Answer: TypeAlias = Response | Later


class Handler(Protocol):
    """What answers the requests of a listener."""

    def answer(self, request: Request) -> Answer:
        """Never raises."""
        ...

    def streams(self, target: str) -> bool:
        """Whether a request for this is handed over at its head, its body to come."""
        ...


def later(
    answer: "Awaitable[Response | Streamed]", inside: "Coroutine[Any, Any, Response | Streamed] | None" = None
) -> Later:
    """Of what never raises. `inside`: what it awaits, which never begins where it is cancelled at once."""
    task = asyncio.ensure_future(answer)
    made = Later(task.cancel)

    def over(done: "asyncio.Future[Response | Streamed]") -> None:
        if inside is not None:
            inside.close()
        made.give(given_up() if done.cancelled() else done.result())

    task.add_done_callback(over)
    return made


def given_up() -> Response:
    return error_response(503, "the server gave this request up")


def json_response(content: object, status: int = 200, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    return Response(status, orjson.dumps(content), JSON, headers)


def error_response(status: int, sentence: str, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    return Response(status, orjson.dumps({"error": sentence}), JSON, headers)


def encoded(response: Response, request: Request | None, *, close: bool) -> list[bytes]:
    """Head and body, as parts. Without a request it answers something that could not be understood."""
    body, trailers = response.body, response.trailers
    framing = b"content-length: %d\r\n" % len(body) if trailers is None else _CHUNKED
    start = head(response.status, response.content_type, framing, response.headers, request, close=close)
    if request is not None and request.method == "HEAD":
        return [start]
    if trailers is None:
        return [start, body] if body else [start]
    return [start, *chunk(body), b"0\r\n", trailers, b"\r\n"]


def head(
    status: int,
    content_type: str,
    framing: bytes,
    headers: Mapping[str, str],
    request: Request | None,
    *,
    close: bool,
) -> bytes:
    """Status line and headers; `framing` is the header that says where the body ends, or nothing."""
    more = lines(headers) if headers else b""
    if close:
        more += b"connection: close\r\n"
    elif request is not None and request.http_1_0:
        more += b"connection: keep-alive\r\n"
    return b"%b%b%b\r\n" % (_start(status, content_type), framing, more)


def lines(headers: Mapping[str, str]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("latin-1", "replace")


@lru_cache(64)
def _start(status: int, content_type: str) -> bytes:
    return f"{_STATUS_LINES[status]}content-type: {content_type}\r\n".encode()


def chunk(data: bytes) -> tuple[bytes, ...]:
    """Nothing for nothing: an empty chunk would end the body."""
    return (b"%x\r\n" % len(data), data, b"\r\n") if data else ()


def last_chunk(trailers: Mapping[str, str]) -> bytes:
    return b"0\r\n%b\r\n" % lines(trailers)
