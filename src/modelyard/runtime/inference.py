"""One inference, whichever protocol it came by: find the model, fit the tensors, predict, name the answer."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from modelyard.kit.errors import ModelyardError
from modelyard.runtime import fitting
from modelyard.runtime.errors import ModelFailed, first_line
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.repository import InUse, Repository
from modelyard.wire.oip.nouns import Array, InferRequest, InferResponse, ModelMetadata, Tensor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inference:
    repository: Repository
    threads: Executor

    def infer(self, name: str, version: str, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        """The answer at once where the model is quick, else when a thread has it.

        Raises `NotLoaded`, `NotFound`, `InvalidInput` for a mistake of the client's, `ModelFailed` for the model's.
        """
        in_use = self.repository.get(name, version)
        model = in_use.loaded.model
        outputs = fitting.choose_outputs(model.signature, request.outputs)
        inputs = model.fit(request.inputs)
        if model.quick:
            return _answer(in_use.loaded, request, predict(in_use.loaded, inputs, outputs))
        return self._in_thread(in_use, request, inputs, outputs)

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


def predict(loaded: LoadedModel, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:
    """The model's outputs; whatever it raises that is not the client's fault becomes `ModelFailed`."""
    try:
        return loaded.model.predict(inputs, outputs)
    except ModelyardError:
        raise
    except BaseException as error:  # also SystemExit, which would end the event loop
        log.warning("the model %s failed: %s: %s", loaded.name, type(error).__name__, first_line(error))
        raise ModelFailed(f"the model '{loaded.name}' failed: {type(error).__name__}: {first_line(error)}") from error


def _answer(loaded: LoadedModel, request: InferRequest, outputs: Sequence[Tensor]) -> InferResponse:
    return InferResponse(model=loaded.name, version=loaded.version, id=request.id, outputs=tuple(outputs))
