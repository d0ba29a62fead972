"""What the agent protocol has no words for, told by `modelyard.v1.AgentReports`: sizes, notes, downloads under way.

A scheduler that does not know these reports is left in peace.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import grpc
import grpc.aio

from modelyard.agent.machine import Agent
from modelyard.agent.phases import Phase
from modelyard.domain.agent_protocol import ModelMeasure
from modelyard.domain.names import VersionId
from modelyard.domain.server import Offers
from modelyard.kit import clock
from modelyard.wire import agents, service

log = logging.getLogger(__name__)

REPORT_EVERY_SECONDS = 1.0
REPORT_SECONDS = 5.0
# What a report came too early for, a scheduler hears with the next one of everything.
TELL_ALL_SECONDS = 30.0
OFFER_AGAIN_SECONDS = 10.0

# How many bytes of a download are here, of how many; the second is None where nobody knows.
Fetched: TypeAlias = tuple[int, int | None]


def nothing_fetched(_version: VersionId) -> Fetched | None:
    return None


def nothing_offered() -> Offers | None:
    return None


class Reports:
    """Of one session. `progress`: how far the download of a version's files is; None where none is under way.
    `offers`: what gateways are offered now; None while that is not known."""

    def __init__(
        self,
        agent: Agent,
        channel: grpc.aio.Channel,
        metadata: tuple[tuple[str, str], ...],
        progress: Callable[[VersionId], Fetched | None],
        offers: Callable[[], Offers | None] = nothing_offered,
    ) -> None:
        self._agent = agent
        self._stub = service.Stub(channel, service.AGENT_REPORTS)
        self.metadata = metadata
        self._progress = progress
        self._offers = offers
        self._offered: Offers | None = None  # told last
        self._offered_at = 0.0
        self._fetched: dict[VersionId, Fetched] = {}
        self._sending = asyncio.Lock()
        self._understood = True

    async def run(self) -> None:
        told_all = clock.now()
        while self._understood:
            await asyncio.sleep(REPORT_EVERY_SECONDS)
            if clock.now() - told_all >= TELL_ALL_SECONDS:
                told_all = clock.now()
                self._agent.tell_all()
            await self.send()

    async def send(self) -> None:
        """What is new. What does not arrive is told with the next one."""
        async with self._sending:
            measures = self._news()
            offers = self._news_of_offers()
            if not (measures or offers) or not self._understood:
                return
            try:
                message = agents.encode_report(self._agent.replica, measures, offers)
                await self._stub.Report(message, metadata=self.metadata, timeout=REPORT_SECONDS)
                if offers is not None:
                    self._offered, self._offered_at = offers, clock.now()
            except grpc.aio.AioRpcError as error:
                log.debug("a report did not arrive: %s: %s", error.code().name, error.details())
                self._understood = error.code() is not grpc.StatusCode.UNIMPLEMENTED
                self._untold(measures)
            except asyncio.CancelledError:
                self._untold(measures)
                raise

    def _untold(self, measures: tuple[ModelMeasure, ...]) -> None:
        self._agent.give_back(measures)
        self._fetched.clear()

    def _news_of_offers(self) -> Offers | None:
        """Told again now and then: a scheduler drops what comes before it knows the session."""
        offers = self._offers()
        again = clock.now() - self._offered_at >= OFFER_AGAIN_SECONDS
        return offers if offers is not None and (offers != self._offered or again) else None

    def _news(self) -> tuple[ModelMeasure, ...]:
        measures = {it.version: it for it in self._agent.take_measures()}
        fetching = [v for v, entry in self._agent.entries.items() if entry.phase is Phase.FETCHING]
        now = {version: it for version in fetching if (it := self._progress(version)) is not None}
        for version, (here, total) in now.items():
            if version in measures or self._fetched.get(version) != (here, total):
                told = measures.get(version) or ModelMeasure(version, resident=False)
                measures[version] = replace(told, fetched_bytes=here, fetch_total_bytes=total)
        self._fetched = now
        return tuple(measures.values())
