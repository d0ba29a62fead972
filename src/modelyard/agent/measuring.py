"""Ask the inference server, now and then, what its models really take. Servers that do not measure are left alone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from modelyard.agent.messages import Event, Measured
from modelyard.agent.servers.v2 import V2Server
from modelyard.domain.names import VersionId
from modelyard.kit import clock
from modelyard.kit.errors import ModelyardError

log = logging.getLogger(__name__)

# A load's own answer tells the first figure: these looks are for memory that grows with use.
MEASURE_EVERY_SECONDS = 3.0
# A server that has no figures may be replaced by one that has.
ASK_AGAIN_SECONDS = 60.0


class Measuring:
    def __init__(self, server: V2Server, emit: Callable[[Event], Awaitable[None]]) -> None:
        self._server = server
        self._emit = emit

    async def run(self) -> None:
        """Until cancelled. That the server is away is for others to tell."""
        while True:
            wait = MEASURE_EVERY_SECONDS
            asked_at = clock.now()
            try:
                held = await self._server.held()
            except ModelyardError as error:
                log.debug("cannot ask what the models take: %s", error)
            else:
                if held is None:
                    wait = ASK_AGAIN_SECONDS
                elif figures := {id: it for name, it in held.items() if (id := VersionId.parse(name)) is not None}:
                    await self._emit(Measured(figures, asked_at))
            await asyncio.sleep(wait)
