"""What stands between callers and an inference server, as the agent's work sees it."""

from collections.abc import Mapping
from typing import Protocol

from modelyard.agent.usage import Usage


class Door(Protocol):
    """Lets requests through to loaded models only. Names are those under which models are loaded."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """What it lets through it goes on letting through."""
        ...

    async def run(self) -> None:
        """Whatever it has to do by itself, until cancelled."""
        ...

    def check(self) -> None:
        """Raises `ServerRefusal` until requests can come through at all."""
        ...

    async def open(self, model: str, /) -> None:
        """Let requests through to a model just loaded; returns when they do. Raises `ServerRefusal`."""
        ...

    async def close(self, model: str, /) -> None:
        """Let no more through, and wait, within bounds, until none is in flight: then the model may be unloaded."""
        ...

    def unloaded(self, model: str, /) -> None:
        """It was closed, and is out of the server's memory."""
        ...

    async def found(self, models: frozenset[str], asked_at: float, /) -> None:
        """What the server holds, as asked for then: open to these, closed to all others."""
        ...

    async def server_lost(self) -> None:
        """A connection to the server broke. Closed to all, if the server is gone with what it held."""
        ...

    def usage(self) -> Mapping[str, Usage]:
        """As last counted; empty where nobody counts."""
        ...


class NoDoor:
    """The built-in runtime needs none: it reads the gateway's header itself, and counts for itself."""

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    async def run(self) -> None:
        return

    def check(self) -> None:
        return

    async def open(self, _model: str, /) -> None:
        return

    async def close(self, _model: str, /) -> None:
        return

    def unloaded(self, _model: str, /) -> None:
        return

    async def found(self, _models: frozenset[str], _asked_at: float, /) -> None:
        return

    async def server_lost(self) -> None:
        return

    def usage(self) -> Mapping[str, Usage]:
        return {}
