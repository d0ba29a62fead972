"""One inference, whichever protocol it came by: find the model, let it answer, name the answer."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from modelyard.runtime import fitting, streaming
from modelyard.runtime.acceleration.errors import LeftToNative
from modelyard.runtime.in_use import InUse
from modelyard.runtime.lane import Asked, Lane, OnAnswer
from modelyard.runtime.model import StreamingModel
from modelyard.runtime.repository import Repository
from modelyard.runtime.ways import Away, Quick, Threaded, Way
from modelyard.wire.oip.nouns import InferRequest, InferResponse, ModelMetadata, Tensor

# Calls of one model at the same time where they do not share calls, unless its settings say otherwise.
CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class Inference:
    """`concurrency`: calls at the same time of a model whose requests do not share calls."""

    repository: Repository
    threads: Executor
    concurrency: int = CONCURRENCY

    def ask(self, name: str, version: str, request: InferRequest, on_answer: OnAnswer) -> Asked:
        """`on_answer` gets the answer, or what `infer` would raise, in a later turn of the loop: once, and never after
        `cancel` of what this returns. The cheapest way to ask: there is no future, and no task.

        Raises `NotLoaded`, `NotFound`, `TooBusy`, and `InvalidInput` where the mistake is seen at once.
        """
        in_use = self.repository.get(name, version)
        if in_use.compiled is not None:
            with contextlib.suppress(LeftToNative):
                return self._lane_of(in_use.compiled).add(request, on_answer)
        return (in_use.lane or self._lane_of(in_use)).add(request, on_answer)

    def _lane_of(self, in_use: InUse) -> Lane:
        lane = in_use.lane
        if lane is None:
            lane = in_use.lane = self._lane(in_use)
        return lane

    def infer(self, name: str, version: str, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        """The answer, later: it may share a call of its model with others, so that whatever else has arrived should be
        asked before it is waited for. Who cancels it waits no more, and it is not run if it has not begun.

        Raises, or the future does, `NotLoaded`, `NotFound`, `TooBusy`, `InvalidInput` for a mistake of the client's,
        `ModelFailed` for the model's.
        """
        answer: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()

        def on_answer(found: InferResponse | Exception) -> None:
            if answer.done():
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        asked = self.ask(name, version, request, on_answer)
        asked.future = answer
        answer.add_done_callback(lambda done: asked.cancel() if done.cancelled() else None)
        return answer

    async def stream(self, name: str, version: str, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        """The answers to one request, as they come: one, unless the model streams. Raises as `infer` does."""
        in_use = self.repository.get(name, version)
        parts = self._parts(in_use, request)
        if parts is None:
            answer = self.infer(name, version, request)
            yield answer if isinstance(answer, InferResponse) else await answer
            return
        async with aclosing(parts):
            async for part in parts:
                yield InferResponse(in_use.loaded.name, tuple(part), in_use.loaded.version, request.id)

    def _parts(self, in_use: InUse, request: InferRequest) -> AsyncGenerator[Sequence[Tensor], None] | None:
        """None where the model does not stream."""
        model, elsewhere = in_use.loaded.model, in_use.loaded.elsewhere
        if elsewhere is not None:
            return streaming.parts_elsewhere(in_use, elsewhere, request) if elsewhere.streams else None
        if isinstance(model, StreamingModel):
            outputs = fitting.choose_outputs(model.signature, request.outputs)
            return streaming.parts(in_use, model, model.fit(request), outputs, self.threads)
        return None

    def _lane(self, in_use: InUse) -> Lane:
        loaded = in_use.loaded
        # Calls that are shared gain nothing from running side by side: what waits for one goes into the next.
        concurrency = self.concurrency if loaded.batching is None else 1
        way: Way[Any]
        if loaded.elsewhere is not None and not loaded.model.quick:  # a compiled one takes its place here
            way = Away(loaded.elsewhere, loaded.batching, concurrency)
        elif loaded.model.quick:
            way = Quick(loaded, self.threads, concurrency)
        else:
            way = Threaded(loaded, self.threads, concurrency)
        return Lane(in_use, way, loaded.batching, loaded.bounds)

    def metadata(self, name: str, version: str) -> ModelMetadata:
        loaded = self.repository.get(name, version).loaded
        signature = loaded.model.signature
        return ModelMetadata(name, (loaded.version,), signature.platform, signature.inputs, signature.outputs)
