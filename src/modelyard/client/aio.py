"""The client of asyncio programs: every call is here once; `blocking` makes the plain one of it."""

import os
from types import TracebackType
from typing import Self

from modelyard.client.addresses import Addresses
from modelyard.client.gateway_calls import GatewayCalls
from modelyard.client.scheduler_calls import SchedulerCalls

CONTROL_TIMEOUT_SECONDS = 30.0
INFER_TIMEOUT_SECONDS = 60.0


class AsyncClient(SchedulerCalls, GatewayCalls):
    """Load models, watch them and ask them, from a coroutine.

        async with AsyncClient() as client:
            await client.load("iris", "/models/iris", requires=["onnx"])
            await client.wait("iris")
            answer = await client.infer("iris", {"X": np.zeros((1, 4), np.float32)})

    Without arguments it finds the system running on this machine for this user, as the command line does; else name
    its state directory, or a scheduler and a gateway as HOST:PORT. Errors are `modelyard.kit.errors.ModelyardError`s.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        gateway: str | None = None,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        timeout_seconds: float = CONTROL_TIMEOUT_SECONDS,
        infer_timeout_seconds: float = INFER_TIMEOUT_SECONDS,
    ) -> None:
        addresses = Addresses(scheduler, gateway, state_dir)
        SchedulerCalls.__init__(self, addresses, timeout_seconds)
        GatewayCalls.__init__(self, addresses, infer_timeout_seconds)

    async def close(self) -> None:
        """Close every connection. It may be called twice."""
        await self._close_gateway()
        await self._close_scheduler()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
