"""A loaded model, and how many requests are using it."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.runtime.formats.load import LoadedModel

if TYPE_CHECKING:
    from modelyard.runtime.lane import Lane


@dataclass(slots=True, eq=False)
class InUse:
    """`idle` is set by the last request when someone waits for it; `lane` is made for the first.

    `compiled` answers what it takes of the requests, once it is there; `compiling` is whoever makes it.
    """

    loaded: LoadedModel
    requests: int = 0
    idle: asyncio.Event | None = None
    lane: "Lane | None" = None
    compiled: "InUse | None" = None
    compiling: "asyncio.Task[None] | None" = None

    @property
    def trouble(self) -> str:
        """Why it cannot answer now; empty: it can, if only what its compiled model answers."""
        elsewhere = self.loaded.elsewhere
        return elsewhere.trouble if elsewhere is not None and self.compiled is None else ""

    def begin(self) -> None:
        self.requests += 1

    def end(self) -> None:
        self.requests -= 1
        if self.requests == 0 and self.idle is not None:
            self.idle.set()

    async def until_idle(self, seconds: float) -> bool:
        if self.requests == 0:
            return True
        self.idle = asyncio.Event()
        try:
            await asyncio.wait_for(self.idle.wait(), seconds)
        except TimeoutError:
            return False
        return True
