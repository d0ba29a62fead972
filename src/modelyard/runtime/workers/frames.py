"""Frames on the socket between the server and a worker: a head, and buffers that nobody copies into it.

bytes of the head u32 · number of buffers u32 · bytes of each buffer u64 … · head · buffers …
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

_START = struct.Struct("<II")
_SIZE = struct.Struct("<Q")

Bytes: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Frame:
    head: Bytes
    buffers: Sequence[Bytes] = ()


def encode(frame: Frame) -> list[Bytes]:
    """What to write, in order."""
    sizes = b"".join(_SIZE.pack(len(it)) for it in frame.buffers)
    return [_START.pack(len(frame.head), len(frame.buffers)) + sizes, frame.head, *frame.buffers]


class Decoder:
    """Bytes as they come in, frames out. The buffers of a frame are writable memory that nobody else has."""

    def __init__(self) -> None:
        self._read = bytearray()
        self._wanted = _START.size

    @property
    def missing(self) -> int:
        """How many more bytes are needed before anything can be made of them."""
        return max(self._wanted - len(self._read), 1)

    def feed(self, data: Bytes) -> list[Frame]:
        self._read += data
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        read = self._read
        self._wanted = _START.size
        if len(read) < self._wanted:
            return None
        head_bytes, count = _START.unpack_from(read)
        self._wanted += count * _SIZE.size
        if len(read) < self._wanted:
            return None
        sizes = [_SIZE.unpack_from(read, _START.size + place * _SIZE.size)[0] for place in range(count)]
        start = self._wanted
        self._wanted += head_bytes + sum(sizes)
        if len(read) < self._wanted:
            return None
        if len(read) == self._wanted:
            whole, self._read = read, bytearray()
        else:
            whole, self._read = read[: self._wanted], read[self._wanted :]
        view = memoryview(whole)
        parts: list[Bytes] = []
        for size in (head_bytes, *sizes):
            parts.append(view[start : start + size])
            start += size
        self._wanted = _START.size
        return Frame(parts[0], parts[1:])
