"""The front door: an Envoy before an inference server that does not know our headers, told by the agent what to do.

    gateway ──REST, gRPC──▶ front door ──names mapped──▶ MLServer, Triton
                              │    ▲
      "may this one go on?"   │    │ what is loaded (xDS), on a unix socket
     for cold models only     ▼    │
                              agent

It is a process of its own (`run/front_door.py`): when the agent dies it goes on as it is, and the next agent adopts it.
"""

import asyncio
import logging
from collections.abc import Mapping

from modelyard.agent import lifeline
from modelyard.agent.door_counter import DoorCounter
from modelyard.agent.door_files import Sockets
from modelyard.agent.door_routes import DoorRoutes
from modelyard.agent.doorway import Doorway
from modelyard.agent.problems import ServerRefusal
from modelyard.agent.usage import Usage, Usages
from modelyard.kit import clock
from modelyard.proxy.desired import Endpoint
from modelyard.proxy.envoy.door_authority import Activate
from modelyard.proxy.envoy.door_scripts import SERVER_SCOPE

COUNT_EVERY_SECONDS = 1.0

log = logging.getLogger(__name__)


async def no_activation(model: str) -> str | None:
    return f"model {model} is not in memory here, and this agent does not load on demand"


class FrontDoor:
    """A `door.Door`. `own`: where the door listens; `upstream`: the inference server behind it.

    `finish_seconds`: how long an unload waits for requests in flight. `activate` is asked before each request to a
    model that was opened cold.
    """

    def __init__(
        self,
        where: Sockets,
        own: Endpoint,
        upstream: Endpoint,
        *,
        finish_seconds: float,
        activate: Activate = no_activation,
    ) -> None:
        self._where = where
        self._upstream = upstream
        self._finish_seconds = finish_seconds
        self._doorway = Doorway()
        self._routes = DoorRoutes(where, own, upstream, activate)
        self._counter = DoorCounter(where.admin)
        self._usages = Usages()
        self._came = False

    async def start(self) -> None:
        """Raises `Refused` where its socket cannot be had."""
        await self._routes.start()

    async def stop(self) -> None:
        """The door goes on as it is."""
        await self._routes.stop()
        await self._counter.stop()

    async def run(self) -> None:
        """Count, and hear of the server's death before its next start could be asked for what it has not loaded yet.
        Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(lifeline.watch(self._upstream, self.server_lost), name="lifeline")
            group.create_task(self._count(), name="count")

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT_EVERY_SECONDS)
            if (counts := await self._counter.counts()) is not None:
                self._usages.counted({it: count for it, count in counts.items() if it != SERVER_SCOPE}, clock.now())

    def usage(self) -> Mapping[str, Usage]:
        return {model: usage for model, usage in self._usages.all().items() if model in self._doorway.open}

    def check(self) -> None:
        # Only once: a door that comes back is no reason to take the server for lost.
        self._came = self._came or self._routes.connected
        if not self._came:
            raise ServerRefusal(
                f"its front door has not called at {self._where.control}: "
                "start it with `python -m modelyard.run.front_door`"
            )

    async def open(self, model: str, *, cold: bool = False) -> None:
        self._doorway.loaded(model, clock.now())
        self._routes.turn({model: True}, cold=cold)
        if (reason := await self._routes.settled([model])) is not None:
            raise ServerRefusal(reason)

    async def close(self, model: str) -> None:
        self._routes.turn(self._doorway.closing(model, clock.now()))
        if (reason := await self._routes.settled([model])) is not None:
            log.warning("%s is unloaded although %s", model, reason)
        if left := await self._counter.idle(model, self._finish_seconds):
            log.warning("%s is unloaded with %d requests in flight: they took longer than %g s",
                        model, left, self._finish_seconds)  # fmt: skip

    def unloaded(self, model: str) -> None:
        self._doorway.unloaded(model, clock.now())
        self._usages.forget(model)

    async def found(self, models: frozenset[str], asked_at: float) -> None:
        turns = self._doorway.found(models, asked_at)
        self._routes.turn(turns)
        if not self._routes.begun:
            self._routes.begin()
        if turns and (reason := await self._routes.settled(turns)) is not None:
            log.error("of %s: %s", ", ".join(sorted(turns)), reason)

    async def server_lost(self) -> None:
        # One that still listens only broke a connection: what it holds, the next look will tell.
        if not await lifeline.listens(self._upstream):
            self._routes.turn(self._doorway.server_lost(clock.now()))
