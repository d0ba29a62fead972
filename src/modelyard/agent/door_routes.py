"""What the front door lets through, said to it over xDS, and waited for."""

import asyncio
from collections.abc import Iterable, Mapping

from modelyard.agent.door_files import Sockets
from modelyard.agent.lifeline import listens
from modelyard.proxy.desired import Changes, Endpoint, Outcome, Route, Variant
from modelyard.proxy.envoy import door_authority, door_scopes
from modelyard.proxy.envoy.door_authority import Activate
from modelyard.proxy.envoy.door_scripts import SERVER_SCOPE
from modelyard.proxy.envoy.server import EnvoyDriver

LIVE_SECONDS = 30.0  # one that is being started again takes a second or two
LOOK_EVERY_SECONDS = 0.05
SERVER = "server"  # the one replica set


class DoorRoutes:
    """Until `begin` the door goes on doing what an earlier agent told it. `own`: where the door itself listens."""

    def __init__(self, where: Sockets, own: Endpoint, upstream: Endpoint, activate: Activate) -> None:
        self._where = where
        self._own = own
        self._upstream = upstream
        self._activate = activate
        self._driver = EnvoyDriver(on_outcome=self._on_outcome, build_scope=door_scopes.build)
        self._version = 0
        self._wanted: dict[str, int] = {}  # the version at which a model was last turned
        self._refused: dict[str, str] = {}
        self._news = asyncio.Event()
        self.begun = False

    @property
    def connected(self) -> bool:
        return any(it.connected for it in self._driver.gateways())

    async def start(self) -> None:
        """Wait for the door to call."""
        authority = {door_authority.SERVICE: door_authority.handler(self._activate)}
        await self._driver.start(f"unix:{self._where.control}", authority)
        # Everybody may ask about the server itself.
        self._apply({SERVER_SCOPE: _route(SERVER_SCOPE)}, {SERVER: {SERVER: self._upstream}})

    async def stop(self) -> None:
        await self._driver.stop()

    def begin(self) -> None:
        """All that is open has been said."""
        self.begun = True
        self._driver.open()

    def turn(self, turns: Mapping[str, bool], *, cold: bool = False) -> None:
        """Open (True) or close models. `cold`: the agent is asked before each request that goes through."""
        if turns:
            self._apply({model: _route(model, cold) if turn else None for model, turn in turns.items()})

    async def settled(self, models: Iterable[str]) -> str | None:
        """Wait until a running door has these as they were last turned. Why not: it refuses, or takes too long."""
        waiting = set(models)
        try:
            async with asyncio.timeout(LIVE_SECONDS):
                while waiting := {it for it in waiting if it in self._wanted}:
                    for model in waiting:
                        if reason := self._refused.get(model):
                            return f"the front door refuses the route to it: {reason}"
                    self._news.clear()
                    await self._news.wait()
                # With nobody there all is settled at once, and a door that starts opens its ports a moment later.
                while not (self.connected and await listens(self._own)):  # noqa: ASYNC110  # nobody would set an event
                    await asyncio.sleep(LOOK_EVERY_SECONDS)
        except TimeoutError:
            return f"the front door did not take the route to it within {LIVE_SECONDS:.0f} s"
        return None

    def _apply(
        self, routes: Mapping[str, Route | None], sets: Mapping[str, Mapping[str, Endpoint]] | None = None
    ) -> None:
        self._version += 1
        for model in routes:
            self._wanted[model] = self._version
            self._refused.pop(model, None)
        self._driver.apply(Changes(self._version, sets or {}, routes))

    def _on_outcome(self, outcome: Outcome) -> None:
        for model, version in outcome.live.items():
            if self._wanted.get(model) == version:
                del self._wanted[model]
                self._refused.pop(model, None)
        for model, refusal in outcome.refused.items():
            if self._wanted.get(model) == refusal.version:
                self._refused[model] = refusal.reason
        self._news.set()


def _route(model: str, cold: bool = False) -> Route:
    return Route((Variant(SERVER, model),), cold)
