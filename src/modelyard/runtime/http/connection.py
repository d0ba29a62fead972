"""One client's connection: bytes to requests, responses to bytes, in the order in which the requests came.

A response that is ready at once is written without a task. While a request waits for a call that it shares with others
(its answer is a future), those behind it are asked too, so that they may join; any other answer that takes time is
waited for first, as what is behind it may depend on what it does. What cannot be understood is answered too, and then
the connection is closed only when the client has had time to read the answer.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

import httptools

from modelyard.runtime.http.messages import Request, Response, error_response, head

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Request], Response | Awaitable[Response]]

MOST_BODY_BYTES = 1 << 30
MOST_HEADER_BYTES = 64 << 10
MOST_WAITING = 64  # requests pipelined on one connection before reading pauses
JOIN_BYTES = 64 << 10  # bodies up to this size are written together with their head
LINGER_SECONDS = 2.0


class OpenConnections:
    """The connections of one listener; `none` is set while there are none."""

    def __init__(self) -> None:
        self.all: set[Connection] = set()
        self.none = asyncio.Event()
        self.none.set()

    def add(self, connection: "Connection") -> None:
        self.all.add(connection)
        self.none.clear()

    def discard(self, connection: "Connection") -> None:
        self.all.discard(connection)
        if not self.all:
            self.none.set()


class Connection(asyncio.Protocol):
    def __init__(self, handler: Handler, connections: "OpenConnections", most_body_bytes: int) -> None:
        self._handler = handler
        self._connections = connections
        self._most_body_bytes = most_body_bytes
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request | Response] = deque()  # a Response: the last words to a bad request
        self._owed: deque[tuple[Request, asyncio.Future[Response]]] = deque()  # asked, not answered yet
        self._reading = False  # in the middle of a request
        self._deaf = False  # nothing more is read
        self._stopping = False
        self._write_paused = self._read_paused = False
        self._owes_continue = False
        self._refusal: Response | None = None
        self._ended = False  # the client sends no more

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._deaf = True
        self._waiting.clear()
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here: the request has been answered as HTTP/1.1, what follows is unknown.
            self._deaf = True
            if self._reading:
                self._refuse(error_response(400, "this server speaks HTTP/1.1 only, without upgrades"))
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or error_response(400, f"this is not an HTTP/1.1 request: {error}"))
        if self._refusal is not None:
            self._refuse(self._refusal)
        self._pump()

    def eof_received(self) -> bool:
        self._ended = True
        if self._reading and not self._deaf:
            self._refuse(error_response(400, "the connection ended in the middle of a request"))
        self._pump()
        return self._busy()  # True keeps the way to the client open for the answers

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._pump()

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._reading = True
        self._url = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value))
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        length = self._headers.get("content-length", "0")
        if self._refusal is None and length.isdecimal() and int(length) > self._most_body_bytes:
            self._too_large()
        elif self._headers.get("expect", "").lower() == "100-continue" and self._parser.get_http_version() != "1.0":
            self._owes_continue = True

    def on_body(self, body: bytes) -> None:
        if self._refusal is not None:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._most_body_bytes:
            self._too_large()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._reading = self._owes_continue = False
        if self._refusal is not None or self._deaf:
            return
        upgrade = self._parser.should_upgrade()
        self._waiting.append(
            Request(
                method=self._parser.get_method().decode("latin-1"),
                target=self._url.decode("latin-1"),
                headers=self._headers,
                body=self._body[0] if len(self._body) == 1 else b"".join(self._body),
                keep_alive=self._parser.should_keep_alive() and not upgrade,
                http_1_0=self._parser.get_http_version() == "1.0",
            )
        )
        self._body = []

    # Answering

    def stop(self) -> None:
        """Answer what has come, then close."""
        self._stopping = True
        if not self._busy():
            self._transport.close()

    def abort(self) -> None:
        for _, answer in self._owed:
            answer.cancel()
        self._transport.abort()

    def _busy(self) -> bool:
        return bool(self._waiting or self._owed) or self._reading

    def _pump(self) -> None:
        """Answer what waits, as far as that is possible without waiting."""
        while self._waiting and self._may_ask(self._waiting[0]):
            item = self._waiting.popleft()
            if isinstance(item, Response):
                self._last_words(item)
                return
            answer = self._handler(item)
            if isinstance(answer, Response) and not self._owed:
                self._write(item, answer)
            else:
                self._owe(item, answer)
        if self._owes_continue and not self._waiting and not self._owed and not self._deaf:
            self._owes_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._mind_reading()
        if (self._stopping or self._ended) and not self._busy() and not self._transport.is_closing():
            self._transport.close()

    def _may_ask(self, item: Request | Response) -> bool:
        """Whether nothing that came before has to be waited for."""
        if self._write_paused or not self._owed:
            return not self._write_paused
        request, answer = self._owed[-1]
        return isinstance(item, Request) and request.keep_alive and not isinstance(answer, asyncio.Task)

    def _mind_reading(self) -> None:
        crowded = len(self._waiting) + len(self._owed) >= MOST_WAITING or self._write_paused
        if crowded != self._read_paused and not self._transport.is_closing():
            self._read_paused = crowded
            (self._transport.pause_reading if crowded else self._transport.resume_reading)()

    def _owe(self, request: Request, answer: Response | Awaitable[Response]) -> None:
        if isinstance(answer, Response):
            ready: asyncio.Future[Response] = self._loop.create_future()
            ready.set_result(answer)
            self._owed.append((request, ready))  # written with the one before it
            return
        later = asyncio.ensure_future(answer, loop=self._loop)
        self._owed.append((request, later))
        later.add_done_callback(self._write_owed)

    def _write_owed(self, _done: "asyncio.Future[Response]") -> None:
        """All answers that are there, as far as none before them is missing."""
        while self._owed and self._owed[0][1].done():
            request, answer = self._owed.popleft()
            if not answer.cancelled():
                self._write(request, answer.result())
        self._pump()

    def _write(self, request: Request, response: Response) -> None:
        if self._transport.is_closing():
            return
        last = self._stopping and not self._waiting and not self._owed and not self._reading
        close = last or not request.keep_alive
        self._send(head(response, request, close=close), b"" if request.method == "HEAD" else response.body)
        if close:
            self._deaf = True
            self._waiting.clear()
            self._reading = False
            self._transport.close()

    def _send(self, start: bytes, body: bytes) -> None:
        if len(body) <= JOIN_BYTES:
            self._transport.write(start + body)
        else:
            self._transport.writelines([start, body])

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES and self._refusal is None:
            self._refusal = error_response(431, f"the headers take more than {MOST_HEADER_BYTES} bytes")

    def _too_large(self) -> None:
        self._refusal = error_response(413, f"the body is larger than {self._most_body_bytes} bytes")

    def _refuse(self, response: Response) -> None:
        """Answer this after all that came before it, then close."""
        self._deaf, self._reading, self._owes_continue, self._refusal = True, False, False, None
        self._waiting.append(response)

    def _last_words(self, response: Response) -> None:
        # Closing while unread bytes arrive would reset the connection and could take the answer with it.
        self._send(head(response, None, close=True), response.body)
        if self._transport.can_write_eof() and not self._ended:
            self._transport.write_eof()
            self._loop.call_later(LINGER_SECONDS, self._transport.close)
        else:
            self._transport.close()
