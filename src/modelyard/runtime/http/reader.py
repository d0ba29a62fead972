"""Bytes to requests, by httptools, within limits.

A request is told of when it is complete; one whose target the handler wants as a stream when its headers are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httptools

from modelyard.runtime.http.incoming import Incoming
from modelyard.runtime.http.messages import Request, Response, error_response
from modelyard.runtime.http.refusals import refusal

MOST_BODY_BYTES = 1 << 30
MOST_HEADER_BYTES = 64 << 10
# What gateways send with every request, to spare the decoding; of those that nobody here reads the values too.
_READ = (
    *("accept-encoding", "content-length", "content-type", "grpc-accept-encoding", "grpc-encoding", "grpc-timeout"),
    *("host", "inference-header-content-length", "seldon-internal-model", "seldon-model", "x-forwarded-proto"),
    "x-request-id",
)
_NOT_READ = ("accept", "connection", "te", "transfer-encoding", "user-agent")
_NAMES: Mapping[bytes, str] = {it.encode(): it for it in _READ} | {it.encode(): "" for it in _NOT_READ}


@dataclass(frozen=True, slots=True)
class Limits:
    """`header_seconds`: from the first byte of a request to the last of its headers. `body_seconds`: in such a time a
    body brings at least `body_bytes`, or is given up. `unread_seconds`: an answer of which nothing was read for that
    long. `idle_seconds`: a connection without a request. `half_closed_seconds`: how long a client who sends no more,
    and may well be gone, is worked for.
    """

    most_body_bytes: int = MOST_BODY_BYTES
    header_seconds: float = 30.0
    body_seconds: float = 30.0
    body_bytes: int = 1 << 10
    unread_seconds: float = 120.0
    idle_seconds: float = 3600.0
    half_closed_seconds: float = 2.0


class Reader:
    """`feed` it what arrives. It calls `arrived` for each request, and once for the refusal of what it cannot take;
    from then on it takes no more."""

    def __init__(
        self,
        limits: Limits,
        streams: Callable[[str], bool],
        arrived: Callable[[Request], None],
        refused: Callable[[Response], None],
        on_room: Callable[[], None],
    ) -> None:
        self._most_body_bytes = limits.most_body_bytes
        self._streams, self._arrived, self._refused, self._on_room = streams, arrived, refused, on_room
        self._parser = httptools.HttpRequestParser(self)
        self._refusal: Response | None = None
        self._headers: dict[str, str] = {}
        self.deaf = False
        self.reading = False  # in the middle of a request
        self.in_headers = False
        self.owes_continue = False
        self.incoming: Incoming | None = None  # of the request that is being read
        self.received_bytes = 0  # of its body

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here: the request has been answered as HTTP/1.1, what follows is unknown.
            self.deaf = True
            if self.reading:
                self._refuse(error_response(400, "this server speaks HTTP/1.1 only, without upgrades"))
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or error_response(400, f"this is not an HTTP/1.1 request: {error}"))
        if self._refusal is not None and not self.deaf:
            self._refuse(self._refusal)

    def ended(self) -> None:
        """The client sends no more."""
        if self.reading and not self.deaf:
            self._refuse(error_response(400, "the connection ended in the middle of a request"))

    def give_up(self, sentence: str) -> None:
        """Wait no longer for the rest of a request."""
        if self.reading and not self.deaf:
            self._refuse(self._refusal_of(408, sentence))

    def stop(self) -> None:
        """Take no more, and say nothing of it."""
        self.deaf, self.reading, self.owes_continue = True, False, False
        if self.incoming is not None:
            self.incoming.cut()
            self.incoming = None

    # httptools callbacks

    def on_message_begin(self) -> None:
        self.reading = self.in_headers = True
        self._url = b""
        self._headers = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self.received_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._header_bytes += len(url)
        if self._header_bytes > MOST_HEADER_BYTES:
            self._too_many_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MOST_HEADER_BYTES:
            self._too_many_headers()
            return
        known = _NAMES.get(name)
        if known is None:
            known = name.decode("latin-1").lower()
        if known:
            self._headers[known] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.in_headers = False
        if self._refusal is not None:
            return
        target = self._url.decode("latin-1")
        if "expect" in self._headers:
            self.owes_continue = (
                self._headers["expect"].lower() == "100-continue" and self._parser.get_http_version() != "1.0"
            )
        if self._streams(target):
            self.incoming = Incoming(self._on_room)
            self._arrived(self._request(target, b""))
            return
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._most_body_bytes:
            self._too_large()

    def on_body(self, body: bytes) -> None:
        if self._refusal is not None or self.deaf:
            return
        self.received_bytes += len(body)
        if self.incoming is not None:
            self.incoming.feed(body)
        elif self.received_bytes > self._most_body_bytes:
            self._too_large()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self.reading = self.owes_continue = False
        if self._refusal is not None or self.deaf:
            return
        if self.incoming is not None:
            self.incoming.end()
            self.incoming = None
            return
        body, self._body = self._body, []
        self._arrived(self._request(self._url.decode("latin-1"), body[0] if len(body) == 1 else b"".join(body)))

    def _request(self, target: str, body: bytes) -> Request:
        parser = self._parser
        return Request(
            parser.get_method().decode("latin-1"),
            target,
            self._headers,
            body,
            parser.should_keep_alive() and not parser.should_upgrade(),
            parser.get_http_version() == "1.0",
            self.incoming,
        )

    def _too_many_headers(self) -> None:
        if self._refusal is None:
            self._refusal = self._refusal_of(431, f"the headers take more than {MOST_HEADER_BYTES} bytes")

    def _too_large(self) -> None:
        self._refusal = self._refusal_of(413, f"the body is larger than {self._most_body_bytes} bytes")

    def _refusal_of(self, status: int, sentence: str) -> Response:
        return refusal(self._headers, status, sentence)

    def _refuse(self, response: Response) -> None:
        self.stop()
        self._refused(response)
