"""Clients that are slow, silent or gone."""

import asyncio
import select
import socket
from enum import Enum, auto

from modelyard.runtime.http.reader import Limits


class Problem(Enum):
    LATE = auto()  # a request does not come
    UNREAD = auto()  # an answer is not read
    IDLE = auto()  # nothing happens


class Watch:
    """What one connection did since it was looked at last. Pure; `look` is called every now and then."""

    def __init__(self, now: float) -> None:
        self._active_at = now
        self._reading_since: float | None = None
        self._in_headers = False
        self._received_bytes = 0
        self._unread_bytes = 0
        self._read_at = now

    def arrived(self) -> None:
        """A request is here; the next one has its time to itself."""
        self._reading_since = None

    def look(
        self,
        now: float,
        limits: Limits,
        *,
        reading: bool,
        in_headers: bool,
        received_bytes: int,
        unread_bytes: int,
        busy: bool,
    ) -> Problem | None:
        """`reading`: in the middle of a request, of whose body `received_bytes` are here. `unread_bytes`: of answers,
        not taken by the client yet."""
        if not unread_bytes or unread_bytes != self._unread_bytes:
            self._unread_bytes, self._read_at = unread_bytes, now
        elif now - self._read_at > limits.unread_seconds:
            return Problem.UNREAD
        if busy or unread_bytes:
            self._active_at = now
        elif now - self._active_at > limits.idle_seconds:
            return Problem.IDLE
        if not reading:
            self._reading_since = None
            return None
        grew = not in_headers and received_bytes - self._received_bytes >= limits.body_bytes
        if self._reading_since is None or in_headers != self._in_headers or grew:
            self._reading_since, self._received_bytes = now, received_bytes
        elif now - self._reading_since > (limits.header_seconds if in_headers else limits.body_seconds):
            return Problem.LATE
        self._in_headers = in_headers
        return None


def hung_up(transport: asyncio.Transport) -> bool:
    """Whether a client who sends no more does not listen either. Only unix sockets tell the difference."""
    peer = transport.get_extra_info("socket")
    if peer is None or peer.family != socket.AF_UNIX:
        return False
    poll = select.poll()
    poll.register(peer.fileno(), 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))
