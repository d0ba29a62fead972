"""Reads the front door's counts from its admin interface. No request waits for that."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import httpx

from modelyard.proxy.desired import Count
from modelyard.proxy.envoy import door_counts

ANSWER_SECONDS = 3.0
LOOK_EVERY_SECONDS = 0.05

log = logging.getLogger(__name__)


class DoorCounter:
    def __init__(self, admin: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(admin), limits=httpx.Limits(max_keepalive_connections=1))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://door", timeout=ANSWER_SECONDS)

    async def stop(self) -> None:
        await self._http.aclose()

    async def counts(self, model: str | None = None) -> Mapping[str, Count] | None:
        """Of all models or of one; None: the door does not answer."""
        try:
            answer = await self._http.get(door_counts.path(model))
            return door_counts.read(answer.content)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.debug("the front door does not say its counts: %s", error)
            return None

    async def idle(self, model: str, seconds: float) -> int:
        """Wait until no request of the model is in flight; returns how many still are after that time.

        A door that does not answer holds nobody up: where it died its requests died with it.
        """
        left = 0
        try:
            async with asyncio.timeout(seconds):
                while (counts := await self.counts(model)) is not None:
                    left = counts.get(model, Count()).in_flight
                    if left == 0:
                        return 0
                    await asyncio.sleep(LOOK_EVERY_SECONDS)
        except TimeoutError:
            return left
        return 0
