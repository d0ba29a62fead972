"""The connections of one listener, looked after."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.runtime.http.connection import Connection

LOOK_EVERY_SECONDS = 1.0


class OpenConnections:
    """`none` is set while there are none. One timer looks at all of them, so that a request sets none."""

    def __init__(self) -> None:
        self.all: set[Connection] = set()
        self.none = asyncio.Event()
        self.none.set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: "Connection") -> None:
        self.all.add(connection)
        self.none.clear()
        if self._timer is None:
            self._look_later()

    def discard(self, connection: "Connection") -> None:
        self.all.discard(connection)
        if not self.all:
            self.none.set()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in list(self.all):
            connection.look(now)
        if self.all:
            self._look_later()
