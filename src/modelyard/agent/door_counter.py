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

_NO_ANSWER = (httpx.HTTPError, ValueError, KeyError, TypeError)

log = logging.getLogger(__name__)


class DoorCounter:
    def __init__(self, admin: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(admin), limits=httpx.Limits(max_keepalive_connections=1))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://door", timeout=ANSWER_SECONDS)

    async def stop(self) -> None:
        await self._http.aclose()

    async def counts(self) -> Mapping[str, Count] | None:
        """Of all models; None: the door does not answer."""
        try:
            return await self._ask(door_counts.path())
        except _NO_ANSWER as error:
            log.debug("the front door does not say its counts: %s", error)
            return None

    async def idle(self, model: str, seconds: float) -> int:
        """Wait until no request of the model is in flight; returns how many still are after that time.

        A door that is gone holds nobody up: its requests died with it. One that is slow to answer does.
        """
        left = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        left = (await self._ask(door_counts.path(model))).get(model, Count()).in_flight
                    except httpx.ConnectError:
                        return 0
                    except _NO_ANSWER as error:
                        log.debug("the front door does not say whether %s is in use: %s", model, error)
                    else:
                        if left == 0:
                            return 0
                    await asyncio.sleep(LOOK_EVERY_SECONDS)
        except TimeoutError:
            return left

    async def _ask(self, path: str) -> Mapping[str, Count]:
        answer = await self._http.get(path)
        return door_counts.read(answer.content)
