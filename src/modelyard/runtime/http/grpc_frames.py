"""The frames of gRPC: a byte that says whether the message is compressed, its length in four, the message.

00 00000005 hello
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelyard.kit.errors import InvalidInput, ModelyardError, NotSupported
from modelyard.runtime.http import inflating

HEAD_BYTES = 5
IDENTITY = "identity"
CODINGS = ("identity", "deflate", "gzip")
# Below this compressing an answer saves nothing.
WORTH_COMPRESSING_BYTES = 1 << 10


class BadFrame(ModelyardError):
    """The client's library is at fault, not its user: INTERNAL, as other servers say."""


class TooLarge(ModelyardError):
    grpc_status = "RESOURCE_EXHAUSTED"


@dataclass(slots=True)
class Frames:
    """Takes a body in any pieces, and gives the frames that are whole."""

    most_bytes: int
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, piece: bytes) -> Iterator[tuple[int, bytes]]:
        """Flag and content of each. Raises `TooLarge`."""
        buffer = self._buffer
        buffer += piece
        while len(buffer) >= HEAD_BYTES:
            size = int.from_bytes(buffer[1:HEAD_BYTES])
            if size > self.most_bytes:
                raise TooLarge(f"a message of {size} bytes is larger than {self.most_bytes} bytes")
            end = HEAD_BYTES + size
            if len(buffer) < end:
                return
            flag, message = buffer[0], bytes(memoryview(buffer)[HEAD_BYTES:end])
            del buffer[:end]
            yield flag, message

    def end(self) -> None:
        """Raises `BadFrame` where the body ended in the middle of a frame."""
        if self._buffer:
            raise BadFrame("the body ends in the middle of a message")


def only(body: bytes) -> tuple[int, bytes]:
    """Flag and content of the one frame of a unary call. Raises `BadFrame`."""
    if len(body) < HEAD_BYTES:
        raise BadFrame(f"a call brings one message, the body has {len(body)} bytes")
    size = int.from_bytes(body[1:HEAD_BYTES])
    if len(body) != HEAD_BYTES + size:
        raise BadFrame(f"the message has {size} bytes, {len(body) - HEAD_BYTES} bytes came: a call brings one message")
    return body[0], body[HEAD_BYTES:]


def frame(message: bytes, coding: str = IDENTITY) -> bytes:
    """Compressed where a coding is given and it is worth it."""
    if coding != IDENTITY and len(message) >= WORTH_COMPRESSING_BYTES:
        packed = gzip.compress(message, 1) if coding == "gzip" else zlib.compress(message, 1)
        if len(packed) < len(message):
            return b"\1" + len(packed).to_bytes(4) + packed
    return b"\0" + len(message).to_bytes(4) + message


def plain(flag: int, message: bytes, coding: str, most_bytes: int) -> bytes:
    """The message in a frame; `coding` is the call's grpc-encoding.

    Raises `NotSupported` for an unknown coding, else `BadFrame` or `TooLarge`.
    """
    if flag == 0:
        return message
    if flag != 1:
        raise BadFrame(f"a frame begins with {flag}, 0 or 1 is wanted")
    if coding not in CODINGS:
        raise NotSupported(f"messages in the grpc-encoding '{coding}' are not supported: {', '.join(CODINGS)} are")
    if coding == IDENTITY:
        raise BadFrame("a message says that it is compressed, and no grpc-encoding was named")
    try:
        return inflating.inflate(message, coding, most_bytes)
    except inflating.TooLarge as error:
        raise TooLarge(str(error)) from None
    except InvalidInput as error:
        raise BadFrame(str(error)) from None
