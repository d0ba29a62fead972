"""Between the scheduler's decisions and the proxies: its routes become desired state, and their outcomes events."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence

from modelyard.domain.status import GatewayStatus, RefusedResource
from modelyard.gateway.routes import RouteTable, Serving
from modelyard.proxy.desired import Driver, Outcome
from modelyard.scheduler.core import Core
from modelyard.scheduler.journal import Journal
from modelyard.scheduler.messages import PublishRoutes, RoutesSettled

REMEMBER_SECONDS = 1.0


class GatewayPublisher:
    """`known`: gateways from before a restart, each of which counts for one lease."""

    def __init__(self, driver: Driver, known: Sequence[str]) -> None:
        self._driver = driver
        self._known = known
        self._table = RouteTable()

    def publish(self, effect: PublishRoutes) -> None:
        for replica, config in effect.endpoints.items():
            if config is not None:
                self._table.endpoint_changed(replica, config)
        for model, serving in effect.routes.items():
            variants = None if serving is None else (Serving(serving.version, serving.replicas),)
            self._table.set_route(model, variants)
        for replica, config in effect.endpoints.items():
            if config is None:
                self._table.endpoint_changed(replica, None)
        changes = self._table.changes(effect.sequence)
        if changes is not None:
            self._driver.apply(changes)

    def open(self) -> None:
        self._driver.open(self._known)


def settled(outcome: Outcome) -> RoutesSettled:
    """What the driver tells, as an event."""
    refused = {model: (it.version, it.reason) for model, it in outcome.refused.items()}
    return RoutesSettled(outcome.live, refused, "the gateways answered")


def gateways(driver: Driver) -> tuple[GatewayStatus, ...]:
    return tuple(GatewayStatus(it.id, it.connected, it.since, str(it.version)) for it in driver.gateways())


def refusals(driver: Driver) -> tuple[RefusedResource, ...]:
    return tuple(RefusedResource(it.gateway, it.resource, it.reason) for it in driver.refusals())


async def remember_gateways(driver: Driver, core: Core, journal: Journal) -> None:
    """Keep in the journal which gateways there are. Until cancelled."""
    written = frozenset(journal.gateways())
    while True:
        await asyncio.sleep(REMEMBER_SECONDS)
        ids = frozenset(it.id for it in driver.gateways())
        if ids != written and core.opened.is_set():
            with contextlib.suppress(sqlite3.Error):  # a full disk: said by whoever has more to write, tried again
                await core.on_disk(journal.put_gateways, ids)
                written = ids
