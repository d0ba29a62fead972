"""Compressed bodies and messages, made plain within a bound: a small body must not become a huge one."""

import zlib
from collections.abc import Mapping

from modelyard.kit.errors import InvalidInput, ModelyardError

# A body that shrank to less than this part of itself is a bomb, unless it is no larger than FREE_BYTES.
MOST_RATIO = 100
FREE_BYTES = 16 << 20
# What was compressed to no more than this is inflated at once: it cannot become more than about 1 MiB.
QUICK_BYTES = 1 << 10

_WINDOWS: Mapping[str, int] = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
SUPPORTED = ("gzip", "deflate")


class TooLarge(ModelyardError):
    http_status = 413


class UnknownCoding(ModelyardError):
    http_status = 415


def inflate(data: bytes, coding: str, most_bytes: int) -> bytes:
    """Raises `UnknownCoding`, `TooLarge`, and `InvalidInput` for what is damaged."""
    window = _WINDOWS.get(coding)
    if window is None:
        raise UnknownCoding(f"bodies in the coding '{coding}' are not supported: {' and '.join(SUPPORTED)} are")
    most = min(most_bytes, max(FREE_BYTES, MOST_RATIO * len(data)))
    try:
        if coding == "deflate" and data[:1] and data[0] & 0x0F != 8:  # some send it without its header
            window = -zlib.MAX_WBITS
        return _inflate(data, window, most)
    except zlib.error as error:
        raise InvalidInput(f"the body is not {coding}: {error}") from None


def _inflate(data: bytes, window: int, most: int) -> bytes:
    parts: list[bytes] = []
    left = most
    while data or not parts:
        engine = zlib.decompressobj(window)
        parts.append(engine.decompress(data, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise TooLarge(f"the body inflates to more than {most} bytes")
        if not engine.eof:
            raise zlib.error("it ends too early")
        data = engine.unused_data if window > zlib.MAX_WBITS else b""  # gzip may have several members
    return b"".join(parts)
