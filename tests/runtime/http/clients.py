"""Clients on raw sockets, and reading answers as HTTP/1.1 says."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEADLINE = 30


@dataclass(frozen=True)
class Seen:
    status: int
    headers: Mapping[str, str]
    body: bytes
    trailers: Mapping[str, str]


def _lines(block: bytes) -> dict[str, str]:
    pairs = (line.split(": ", 1) for line in block.decode("latin-1").split("\r\n") if line)
    return {name.lower(): value for name, value in pairs}


def read_all(received: bytes) -> list[Seen]:
    """Every answer in what a server sent until it closed. AssertionError where they are not whole or not HTTP."""
    found: list[Seen] = []
    while received:
        head, blank, received = received.partition(b"\r\n\r\n")
        assert blank, f"a head that is not whole: {head!r}"
        first, _, rest = head.partition(b"\r\n")
        matched = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [ -~]+", first)
        assert matched, first
        status, headers, trailers = int(matched[1]), _lines(rest), {}
        if status == 100:
            continue
        if headers.get("transfer-encoding") == "chunked":
            body, trailers, received = _chunks(received)
        else:
            size = int(headers["content-length"])
            body, received = received[:size], received[size:]
            assert len(body) == size, "a body that is not whole"
        found.append(Seen(status, headers, body, trailers))
    return found


def _chunks(rest: bytes) -> tuple[bytes, dict[str, str], bytes]:
    body = b""
    while True:
        size, end, rest = rest.partition(b"\r\n")
        assert end, "a chunk that is not whole"
        if int(size, 16) == 0:
            break
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) :]
        assert rest[:2] == b"\r\n", "a chunk that is not whole"
        rest = rest[2:]
    if rest[:2] == b"\r\n":
        return body, {}, rest[2:]
    trailers, end, rest = rest.partition(b"\r\n\r\n")
    assert end, "trailers that are not whole"
    return body, _lines(trailers), rest


class Talk:
    """One connection. `received` is all that came; `read_until` waits for more of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = b""

    @classmethod
    async def to(cls, where: int | Path) -> "Talk":
        if isinstance(where, int):
            return cls(*await asyncio.open_connection("127.0.0.1", where))
        return cls(*await asyncio.open_unix_connection(where))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read_until(self, end: bytes) -> bytes:
        """What came up to that, which is left out of `received` from then on."""
        async with asyncio.timeout(DEADLINE):
            while end not in self.received:
                more = await self.reader.read(1 << 16)
                assert more, f"closed before {end!r}: {self.received!r}"
                self.received += more
        found, _, self.received = self.received.partition(end)
        return found + end

    async def rest(self) -> bytes:
        """Until the server closes."""
        async with asyncio.timeout(DEADLINE):
            try:
                while more := await self.reader.read(1 << 16):
                    self.received += more
            except ConnectionError:
                pass
        self.writer.close()
        return self.received

    def reset(self) -> None:
        """Gone, at once and altogether."""
        self.writer.transport.abort()
