"""The body of a request that is handed over at its head: its pieces, as they arrive."""

import asyncio
from collections import deque
from collections.abc import Callable

from modelyard.kit.errors import ModelyardError

MOST_BUFFERED_BYTES = 1 << 20  # beyond this nothing more is read from the client until some of it is taken


class CutOff(ModelyardError):
    """The client is gone, or was refused in the middle of the body."""

    http_status = 400
    grpc_status = "CANCELLED"


class Incoming:
    """Pieces by `async for`; it ends with the body, and raises `CutOff` where the body was cut off."""

    def __init__(self, on_room: Callable[[], None]) -> None:
        self._on_room = on_room
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._more = asyncio.Event()
        self.complete = False
        self._cut = False
        self._unwanted = False

    @property
    def full(self) -> bool:
        return self._bytes > MOST_BUFFERED_BYTES

    def feed(self, piece: bytes) -> None:
        if self._unwanted:
            return
        self._pieces.append(piece)
        self._bytes += len(piece)
        self._more.set()

    def end(self) -> None:
        self.complete = True
        self._more.set()

    def cut(self) -> None:
        """There will be no more."""
        self._cut = not self.complete
        self._more.set()

    def drop(self) -> None:
        """Nobody wants what is still to come."""
        self._unwanted = True
        self._pieces.clear()
        self._bytes = 0

    def __aiter__(self) -> "Incoming":
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self.complete:
                raise StopAsyncIteration
            if self._cut:
                raise CutOff("the body of the request was cut off")
            self._more.clear()
            await self._more.wait()
        piece = self._pieces.popleft()
        was_full = self.full
        self._bytes -= len(piece)
        if was_full and not self.full:
            self._on_room()
        return piece
