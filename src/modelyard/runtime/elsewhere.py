"""What the runtime needs of a model that lives in another process: its calls, its memory, its troubles."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from modelyard.runtime.calls import Outcome
from modelyard.wire.oip.nouns import InferRequest, Tensor


class Elsewhere(Protocol):
    @property
    def trouble(self) -> str:
        """Why it cannot answer now; empty: it can."""
        ...

    @property
    def streams(self) -> bool: ...

    @property
    def memory_bytes(self) -> int:
        """As last measured."""
        ...

    def start(self, requests: Sequence[InferRequest], done: Callable[[Sequence[Outcome]], None]) -> None:
        """As a `Way` does."""
        ...

    def stream(self, request: InferRequest) -> AsyncGenerator[Sequence[Tensor], None]:
        """The parts of a streaming model's answer, each computed when it is asked for."""
        ...

    async def release(self) -> None:
        """It is used no more; its memory is given back when this returns."""
        ...
