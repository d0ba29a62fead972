"""One inference, whichever protocol it came by: find the model, fit the tensors, predict, name the answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

from modelyard.runtime import batching, fitting
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.predicting import predict
from modelyard.runtime.repository import InUse, Repository
from modelyard.runtime.together import Together
from modelyard.wire.oip.nouns import Array, InferRequest, InferResponse, ModelMetadata, Tensor


@dataclass(frozen=True, slots=True)
class Inference:
    repository: Repository
    threads: Executor
    together: Together = field(default_factory=Together)

    def infer(self, name: str, version: str, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        """The answer at once where the model is quick, else when a thread has it, or the call that it shares with
        others: then it is a future, and whatever else has arrived should be asked before it is waited for.

        Raises `NotLoaded`, `NotFound`, `InvalidInput` for a mistake of the client's, `ModelFailed` for the model's.
        """
        in_use = self.repository.get(name, version)
        model = in_use.loaded.model
        outputs = fitting.choose_outputs(model.signature, request.outputs)
        inputs = model.fit(request)
        limits = in_use.loaded.batching
        if limits is not None and (mine := batching.share(inputs, outputs, limits)) is not None:
            answer = partial(_answer, in_use.loaded, request)
            return self.together.add(in_use, mine, inputs, outputs, limits, answer)
        if model.quick:
            return _answer(in_use.loaded, request, predict(in_use.loaded, inputs, outputs))
        return self._in_thread(in_use, request, inputs, outputs)

    async def stream(self, name: str, version: str, request: InferRequest) -> AsyncIterator[InferResponse]:
        """The answers to one request, as they come: one, unless the model streams. Raises as `infer` does."""
        answer = self.infer(name, version, request)
        yield answer if isinstance(answer, InferResponse) else await answer

    async def _in_thread(
        self, in_use: InUse, request: InferRequest, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> InferResponse:
        loop = asyncio.get_running_loop()
        in_use.begin()
        try:
            work = loop.run_in_executor(self.threads, predict, in_use.loaded, inputs, outputs)
            # The thread goes on when the caller goes away, and the model is in use until it is done.
            found = await asyncio.shield(work)
        except asyncio.CancelledError:
            in_use.begin()
            work.add_done_callback(lambda done: _abandoned(done, in_use))
            raise
        finally:
            in_use.end()
        return _answer(in_use.loaded, request, found)

    def metadata(self, name: str, version: str) -> ModelMetadata:
        loaded = self.repository.get(name, version).loaded
        signature = loaded.model.signature
        return ModelMetadata(name, (loaded.version,), signature.platform, signature.inputs, signature.outputs)


def _abandoned(work: "asyncio.Future[Sequence[Tensor]]", in_use: InUse) -> None:
    in_use.end()
    if not work.cancelled():
        work.exception()  # logged already, and nobody waits for it


def _answer(loaded: LoadedModel, request: InferRequest, outputs: Sequence[Tensor]) -> InferResponse:
    return InferResponse(model=loaded.name, version=loaded.version, id=request.id, outputs=tuple(outputs))
