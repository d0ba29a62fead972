"""The answers of a model that gives them in parts.

    loop                                     a thread
    the next part is wanted ──────────────▶  next(parts)
    it goes out to the client ◀────────────  its tensors
    nobody wants more ─────────────────────▶ parts.close()

A part is computed when the one before has been taken, so a slow client holds its model back, and no thread waits for
it. A part that is being computed when the client goes away is finished, and the last.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing

from modelyard.kit.errors import ModelyardError
from modelyard.runtime.elsewhere import Elsewhere
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.in_use import InUse
from modelyard.runtime.model import StreamingModel
from modelyard.runtime.predicting import failure
from modelyard.wire.oip.nouns import Array, InferRequest, Tensor

log = logging.getLogger(__name__)


async def parts(
    in_use: InUse, model: StreamingModel, inputs: Mapping[str, Array], outputs: Sequence[str], threads: Executor
) -> AsyncGenerator[Sequence[Tensor], None]:
    """`in_use.loaded.model` is `model`, and in use until its last part is done. Raises as `predicting.predict`."""
    loop = asyncio.get_running_loop()
    source = Source(in_use.loaded, model, inputs, outputs)
    work: asyncio.Future[Sequence[Tensor] | None] | None = None
    in_use.begin()
    try:
        while True:
            work = loop.run_in_executor(threads, source.next)
            found = await asyncio.shield(work)
            if found is None:
                break
            yield found
    finally:

        def close(done: "asyncio.Future[Sequence[Tensor] | None] | None" = None) -> None:
            if done is not None and not done.cancelled():
                done.exception()  # logged already, and nobody waits for it
            if source.ended:
                in_use.end()
                return
            try:
                loop.run_in_executor(threads, source.close).add_done_callback(lambda _: in_use.end())
            except RuntimeError:  # the server is stopping, and its threads take nothing new
                in_use.end()

        if work is not None and not work.done():
            work.add_done_callback(close)
        else:
            close()


async def parts_elsewhere(
    in_use: InUse, elsewhere: Elsewhere, request: InferRequest
) -> AsyncGenerator[Sequence[Tensor], None]:
    """The same of a model in another process."""
    in_use.begin()
    try:
        async with aclosing(elsewhere.stream(request)) as found:
            async for part in found:
                yield part
    finally:
        in_use.end()


class Source:
    """A model's parts, asked for in threads. `ended`: there are no more, and nothing is to be closed."""

    def __init__(
        self, loaded: LoadedModel, model: StreamingModel, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> None:
        self._loaded, self._model, self._inputs, self._outputs = loaded, model, inputs, outputs
        self._parts: Iterator[Sequence[Tensor]] | None = None
        self.ended = False

    def next(self) -> Sequence[Tensor] | None:
        """None: that was all."""
        try:
            if self._parts is None:
                self._parts = iter(self._model.stream(self._inputs, self._outputs))
            found = next(self._parts, None)
        except ModelyardError:
            self.ended = True
            raise
        except BaseException as error:  # also SystemExit, which would end the event loop
            self.ended = True
            raise failure(self._loaded, error) from error
        self.ended = found is None
        return found

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        try:
            if close is not None:
                close()
        except BaseException as error:  # the model's own code, when nobody waits for it any more
            log.warning("closing a stream of %s failed: %s", self._loaded.name, error)
