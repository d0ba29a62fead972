"""What gateways are offered: as the inference server says, less a socket that nobody hears."""

import asyncio
import contextlib
import logging
from dataclasses import replace

from modelyard.agent.problems import ServerLost, ServerRefusal
from modelyard.agent.servers.v2 import V2Server
from modelyard.domain.server import NO_OFFERS, Offers
from modelyard.kit.machine import machine_id

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.5
CONNECT_SECONDS = 2.0


class OfferWatch:
    """`current` is what holds now; None while nothing is known. Of a server that is down the last is kept: it may well
    come back with the same, and until then nobody reaches it in any way."""

    def __init__(self, server: V2Server) -> None:
        self._server = server
        self._instance: str | None = None
        self._said: Offers | None = None
        self.current: Offers | None = None

    async def run(self) -> None:
        if not self._server.offers_more:
            self.current = NO_OFFERS
            return
        while True:
            with contextlib.suppress(ServerLost, ServerRefusal):
                await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """Raises `ServerLost` and `ServerRefusal`."""
        seen = await self._server.look()
        if self._said is None or seen.instance != self._instance:
            self._said = await self._server.offers()
            self._instance = seen.instance
        found = self._said
        if found.unix_socket:
            heard = await _is_heard(found.unix_socket)
            found = replace(found, machine=machine_id()) if heard else replace(found, unix_socket="")
        if found != self.current:
            log.info("gateways are offered %s", found)
            self.current = found


async def _is_heard(path: str) -> bool:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_unix_connection(path)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
