"""The server's end of one worker: orders go out, and what comes back is handed to who waits for it."""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
from collections.abc import Callable
from typing import TypeAlias, TypeVar, cast

from modelyard.runtime.errors import WorkerLost
from modelyard.runtime.workers import orders, reports
from modelyard.runtime.workers.frames import Decoder, encode
from modelyard.runtime.workers.nurse import Born
from modelyard.runtime.workers.orders import Order
from modelyard.runtime.workers.reports import Failed, Report

log = logging.getLogger(__name__)

OnReport: TypeAlias = Callable[[Report | WorkerLost], None]
R = TypeVar("R")

_PATIENCE_SECONDS = 2.0


class Link(asyncio.Protocol):
    """`lost` is set when the worker has gone, whoever ended it."""

    def __init__(self, born: Born) -> None:
        self.pid = born.pid
        self._born = born
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, OnReport] = {}
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, born: Born) -> "Link":
        link = cls(born)
        await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=born.connection)
        return link

    @property
    def alive(self) -> bool:
        return not self.lost.done()

    def tell(self, make: Callable[[int], Order], on_report: OnReport) -> None:
        """`make` gets the number of the order. `on_report` is called once, perhaps before this returns."""
        if not self.alive or self._transport is None:
            on_report(WorkerLost("its process has ended"))
            return
        number = next(self._numbers)
        self._waiting[number] = on_report
        parts = encode(orders.encode(make(number)))
        self._transport.writelines(parts)

    async def ask(self, make: Callable[[int], Order], kind: type[R]) -> R:
        """The report, of the kind that the order has. Raises what the worker says, or `WorkerLost`."""
        found: asyncio.Future[Report] = asyncio.get_running_loop().create_future()

        def on_report(report: Report | WorkerLost) -> None:
            if found.done():
                return
            if isinstance(report, WorkerLost):
                found.set_exception(report)
            elif isinstance(report, Failed):
                found.set_exception(report.error)
            else:
                found.set_result(report)

        self.tell(make, on_report)
        report = await found
        if not isinstance(report, kind):
            raise WorkerLost(f"its process answered with a {type(report).__name__}")
        return report

    def close(self) -> None:
        """The worker ends when it sees this."""
        if self._transport is not None:
            self._transport.abort()

    async def end(self) -> None:
        """End the worker, also one that sees nothing any more; it is gone when this returns."""
        self.close()
        if await self._status(_PATIENCE_SECONDS) is None and not self._born.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            await self._status(_PATIENCE_SECONDS)

    async def how_it_ended(self) -> str:
        status = await self._status(_PATIENCE_SECONDS)
        if status is None:
            return "nobody knows why"
        if status < 0:
            return f"{signal.Signals(-status).name}{', as when there is no memory left' if status == -9 else ''}"
        return f"exit code {status}"

    async def _status(self, seconds: float) -> int | None:
        """None: not known, or not ended."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self._born.ended), seconds)
        return None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                report = reports.decode(frame)
                on_report = self._waiting.pop(report.id, None)
                if on_report is not None:
                    on_report(report)
        except Exception as error:  # what a model wrote to the socket itself, for one
            log.error("worker %d does not keep to the protocol, and is ended", self.pid, exc_info=error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.lost.done():
            self.lost.set_result(None)
        waiting, self._waiting = self._waiting, {}
        for on_report in waiting.values():
            on_report(WorkerLost("its process ended"))
