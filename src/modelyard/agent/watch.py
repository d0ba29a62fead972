"""Watch the inference server: ready, gone, restarted, and what it really holds."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from modelyard.agent.door import Door
from modelyard.agent.messages import Event, ServerDown, ServerReady
from modelyard.agent.problems import ServerLost, ServerRefusal
from modelyard.agent.servers.v2 import V2Server
from modelyard.kit import clock
from modelyard.kit.errors import ModelyardError

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.5
# How often the index is compared, without being told of a restart: servers that do not name their instance.
INDEX_EVERY_SECONDS = 2.0
INDEX_EVERY_SECONDS_NAMED = 30.0
# A server that is busy may miss a look; one that refuses connections is gone.
MISSED_LOOKS = 4


class Watch:
    def __init__(
        self, server: V2Server, door: Door, emit: Callable[[Event], Awaitable[None]], *, complain_after_seconds: float
    ) -> None:
        self._server = server
        self._door = door
        self._emit = emit
        self._complain_after_seconds = complain_after_seconds
        self._up = False
        self._instance: str | None = None
        self._missed = 0
        self._indexed_at = 0.0
        self._look_now = asyncio.Event()

    def look_now(self) -> None:
        """Look at once, and say what was seen even if nothing changed."""
        self._look_now.set()

    async def run(self) -> None:
        down_since, complained = clock.now(), False
        while True:
            asked_for = self._look_now.is_set()
            self._look_now.clear()
            try:
                await self._look(tell=asked_for)
                self._missed = 0
                down_since, complained = clock.now(), False
            except ModelyardError as error:
                await self._missing(error, tell=asked_for)
                if clock.now() - down_since > self._complain_after_seconds and not complained:
                    complained = True
                    log.warning("the inference server is not ready after %.0f s: %s; waiting on",
                                clock.now() - down_since, error)  # fmt: skip
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), LOOK_EVERY_SECONDS)

    async def _look(self, *, tell: bool) -> None:
        self._door.check()
        seen = await self._server.look()
        if self._up and seen.instance != self._instance:
            log.warning("the inference server was restarted")
            self._up = False
            await self._emit(ServerDown())
        every = INDEX_EVERY_SECONDS if seen.instance is None else INDEX_EVERY_SECONDS_NAMED
        if self._up and not tell and clock.now() - self._indexed_at < every:
            return
        asked_at = clock.now()
        models = await self._server.index()
        await self._door.found(models, asked_at)
        if not self._up:
            log.info("the inference server at %s is ready, with %d models loaded", self._server.url, len(models))
        self._up, self._instance, self._indexed_at = True, seen.instance, asked_at
        await self._emit(ServerReady(models, asked_at))

    async def _missing(self, error: ModelyardError, *, tell: bool) -> None:
        self._missed += 1
        patience = 1 if isinstance(error, ServerLost) else MISSED_LOOKS
        if isinstance(error, ServerRefusal) and self._missed < patience and not tell:
            return
        if self._up:
            log.warning("the inference server went away: %s", error)
            if isinstance(error, ServerLost):
                await self._door.server_lost()
        if self._up or tell:
            self._up = False
            await self._emit(ServerDown())
