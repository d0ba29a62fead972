"""One client's connection: bytes to requests, responses to bytes, in the order in which the requests came.

A response that is ready at once is written without a task. While a request waits for a call that it shares with others
(its answer is a future), those behind it are asked too, so that they may join; any other answer that takes time is
waited for first, as what is behind it may depend on what it does. What cannot be understood is answered too, and then
the connection is closed only when the client has had time to read the answer. When the client goes away, what still
works for it is cancelled.
"""

import asyncio
import logging
import socket
from collections import deque
from typing import cast

from modelyard.runtime.http import peers
from modelyard.runtime.http.connections import OpenConnections
from modelyard.runtime.http.messages import Handler, Later, Request, Response, Streamed, encoded
from modelyard.runtime.http.reader import Limits, Reader
from modelyard.runtime.http.streaming import stream

log = logging.getLogger(__name__)

MOST_WAITING = 64  # requests pipelined on one connection before reading pauses
JOIN_BYTES = 64 << 10  # responses up to this size are written as one piece
LINGER_SECONDS = 2.0


class Connection(asyncio.Protocol):
    def __init__(self, handler: Handler, connections: OpenConnections, limits: Limits) -> None:
        self._handler = handler
        self._connections = connections
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(limits, handler.streams, self._arrived, self._arrived, self._mind_reading)
        self._waiting: deque[Request | Response] = deque()  # a Response: the last words to a bad request
        self._owed: deque[tuple[Request, Later | Response]] = deque()  # asked, not answered yet
        self._streaming: asyncio.Task[None] | None = None  # the answer of the first that is owed
        self._stopping = self._ended = self._closing = False
        self._read_paused = self._pumping = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._watch = peers.Watch(self._loop.time())

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        peer = transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._waiting.clear()
        self._reader.stop()
        self._connections.discard(self)
        self._writable.set()
        self._cancel()

    def data_received(self, data: bytes) -> None:
        if self._reader.deaf:
            return
        reader = self._reader
        reader.feed(data)
        if self._waiting or reader.owes_continue or reader.incoming is not None:
            self._pump()

    def eof_received(self) -> bool:
        self._ended = True
        if self._owed and peers.hung_up(self.transport):
            self._closing = True
            return False
        self._reader.ended()
        self._pump()
        if self._busy():
            self._loop.call_later(self._limits.half_closed_seconds, self._give_up)
        return self._busy()  # True keeps the way to the client open for the answers

    def pause_writing(self) -> None:
        self._writable.clear()
        self._mind_reading()

    def resume_writing(self) -> None:
        self._writable.set()
        self._pump()

    # For the listener

    def stop(self) -> None:
        """Answer what has come, then close."""
        self._stopping = True
        if not self._busy():
            self.transport.close()

    def abort(self) -> None:
        self._cancel()
        self.transport.abort()

    def look(self, now: float) -> None:
        """End what takes too long: a request that does not come, an answer that nobody reads, a silent client."""
        reader = self._reader
        problem = self._watch.look(
            now,
            self._limits,
            reading=reader.reading and not reader.deaf and not self._read_paused and reader.incoming is None,
            in_headers=reader.in_headers,
            received_bytes=reader.received_bytes,
            unread_bytes=self.transport.get_write_buffer_size(),
            busy=self._busy(),
        )
        match problem:
            case peers.Problem.LATE:
                reader.give_up("the request did not arrive in time")
                self._pump()
            case peers.Problem.UNREAD:
                self.abort()
            case peers.Problem.IDLE:
                self.transport.close()

    # Answering

    def _arrived(self, item: Request | Response) -> None:
        self._watch.arrived()
        self._waiting.append(item)

    def _busy(self) -> bool:
        return bool(self._waiting or self._owed) or self._reader.reading

    def _give_up(self) -> None:
        """Work no longer for a client who sends no more; what was written already still goes out."""
        self._cancel()
        self.transport.close()

    def _cancel(self) -> None:
        """The end of the connection: nobody waits for what is owed."""
        self._closing = True
        for _, answer in self._owed:
            if isinstance(answer, Later) and answer.found is None:
                answer.cancel()
        self._owed.clear()
        if self._streaming is not None:
            self._streaming.cancel()

    def _pump(self) -> None:
        """Answer what waits, as far as that is possible without waiting."""
        self._pumping = True
        self._ask()
        self._pumping = False
        reader = self._reader
        if reader.owes_continue and self._takes_body():
            reader.owes_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._read_paused or self._waiting or reader.incoming is not None or len(self._owed) >= MOST_WAITING:
            self._mind_reading()
        if (self._stopping or self._ended) and not self._busy() and not self.transport.is_closing():
            self.transport.close()

    def _ask(self) -> None:
        while self._waiting and self._may_ask(self._waiting[0]):
            item = self._waiting.popleft()
            if isinstance(item, Response):
                self._last_words(item)
                return
            answer = self._handler.answer(item)
            if isinstance(answer, Response) and not self._owed:
                self._write(item, answer)
                continue
            self._owed.append((item, answer))
            if isinstance(answer, Later):
                answer.tell = self._write_owed
                if answer.found is not None:
                    self._write_owed()

    def _takes_body(self) -> bool:
        """Whether the request that is being read is the next to be answered."""
        ahead = len(self._waiting) + len(self._owed) - (self._reader.incoming is not None)
        return ahead == 0 and not self._reader.deaf

    def _may_ask(self, item: Request | Response) -> bool:
        """Whether nothing that came before has to be waited for."""
        if self._closing or not self._writable.is_set():
            return False
        if not self._owed:
            return True
        request, answer = self._owed[-1]
        together = not isinstance(answer, Later) or answer.shares
        return isinstance(item, Request) and request.keep_alive and together and self._streaming is None

    def _mind_reading(self) -> None:
        crowded = len(self._waiting) + len(self._owed) >= MOST_WAITING or not self._writable.is_set()
        if self._reader.incoming is not None:
            crowded |= self._reader.incoming.full
        if crowded != self._read_paused and not self.transport.is_closing():
            self._read_paused = crowded
            (self.transport.pause_reading if crowded else self.transport.resume_reading)()

    def _write_owed(self) -> None:
        """All answers that are there, as far as none before them is missing."""
        while self._owed and self._streaming is None and not self._closing:
            request, answer = self._owed[0]
            found = answer.found if isinstance(answer, Later) else answer
            if found is None:
                break
            if isinstance(found, Streamed):
                self._stream(request, found)
                return
            self._owed.popleft()
            self._write(request, found)
        if not self._pumping:
            self._pump()

    def _write(self, request: Request, response: Response) -> None:
        if self.transport.is_closing():
            return
        last = self._stopping and not self._waiting and not self._owed and not self._reader.reading
        cut_short = request.incoming is not None and not request.incoming.complete
        close = last or cut_short or not request.keep_alive
        self._send(encoded(response, request, close=close))
        if close:
            self._close(linger=cut_short)

    def _stream(self, request: Request, streamed: Streamed) -> None:
        close = not request.keep_alive or request.http_1_0 or self._stopping
        self._streaming = self._loop.create_task(
            stream(self.transport, self._writable, request, streamed, close=close), name="stream an answer"
        )

        def over(done: "asyncio.Task[None]") -> None:
            self._streaming = None
            if self._closing or self.transport.is_closing():
                return
            if done.cancelled() or done.exception() is not None:
                self.transport.abort()  # a body that breaks off must not look like one that is whole
                return
            self._owed.popleft()
            cut_short = request.incoming is not None and not request.incoming.complete
            if close or cut_short:
                self._close(linger=cut_short)
            self._write_owed()

        self._streaming.add_done_callback(over)

    def _send(self, parts: list[bytes]) -> None:
        if len(parts) == 1:
            self.transport.write(parts[0])
        elif sum(map(len, parts)) <= JOIN_BYTES:
            self.transport.write(b"".join(parts))
        else:
            self.transport.writelines(parts)

    def _close(self, *, linger: bool) -> None:
        self._closing = True
        self._waiting.clear()
        self._reader.stop()
        # Closing while unread bytes arrive would reset the connection and could take the answer with it.
        if linger and self.transport.can_write_eof() and not self._ended:
            self.transport.write_eof()
            self._loop.call_later(LINGER_SECONDS, self.transport.close)
            if self._read_paused:
                self._read_paused = False
                self.transport.resume_reading()
        else:
            self.transport.close()

    def _last_words(self, response: Response) -> None:
        self._send(encoded(response, None, close=True))
        self._close(linger=True)
