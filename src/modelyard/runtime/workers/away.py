"""A model that lives in a worker, as the server sees it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from modelyard.kit.errors import ModelyardError, NotSupported
from modelyard.runtime.calls import Outcome
from modelyard.runtime.errors import WorkerAway, WorkerLost
from modelyard.runtime.model import Signature
from modelyard.runtime.workers.link import Link
from modelyard.runtime.workers.orders import Close, More, Run, Stream
from modelyard.runtime.workers.reports import Answered, Done, Failed, Loaded, Part, Report
from modelyard.wire.oip.loading import LoadOrder
from modelyard.wire.oip.nouns import Array, InferRequest, Tensor


class AwayModel:
    """`link` None: its worker has gone, and `trouble` says so. `suspect`: it was running when that happened."""

    quick = False

    def __init__(self, folder: Path, order: LoadOrder, key: int, release: Callable[["AwayModel"], Awaitable[None]]):
        self.folder, self.order, self.key = folder, order, key
        self.name = folder.name
        self.trouble = ""
        self.suspect = self.released = False
        self.restarts = 0
        self.settled_at = 0.0
        self.link: Link | None = None
        self._loaded: Loaded | None = None
        self._measured = 0
        self._release = release
        self._ending: set[asyncio.Task[None]] = set()

    def settle_in(self, link: Link, loaded: Loaded, now: float) -> None:
        self.link, self._loaded, self.settled_at = link, loaded, now
        self.trouble, self.suspect = "", False
        self._measured = loaded.memory_bytes

    def measured(self, memory_bytes: int) -> None:
        """Used, a model may come to need more; what it once needed it may need again."""
        self._measured = max(self._measured, memory_bytes)

    @property
    def signature(self) -> Signature:
        assert self._loaded is not None
        return self._loaded.signature

    @property
    def streams(self) -> bool:
        return self._loaded is not None and self._loaded.streams

    @property
    def memory_bytes(self) -> int:
        return self._measured

    def fit(self, request: InferRequest) -> Mapping[str, Array]:  # noqa: ARG002
        raise NotSupported(f"'{self.name}' takes its requests whole, in its worker")

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Tensor]:  # noqa: ARG002
        raise NotSupported(f"'{self.name}' takes its requests whole, in its worker")

    def start(self, requests: Sequence[InferRequest], done: Callable[[Sequence[Outcome]], None]) -> None:
        link = self.link
        if link is None or not link.alive:
            done([self._away()] * len(requests))
            return

        def on_report(report: Report | WorkerLost) -> None:
            if isinstance(report, WorkerLost):
                self.suspect = True
                task = asyncio.create_task(self._lost(link, done, len(requests)))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
            elif isinstance(report, Answered) and len(report.outcomes) == len(requests):
                done(report.outcomes)
            else:
                error = report.error if isinstance(report, Failed) else ModelyardError("the worker answered nonsense")
                done([error] * len(requests))

        link.tell(lambda number: Run(number, self.key, requests), on_report)

    async def stream(self, request: InferRequest) -> AsyncGenerator[Sequence[Tensor], None]:
        link = self.link
        if link is None or not link.alive:
            raise self._away()
        opened = 0

        def begin(number: int) -> Stream:
            nonlocal opened
            opened = number
            return Stream(number, self.key, request)

        try:
            await link.ask(begin, Done)
            while (part := await link.ask(lambda number: More(number, opened), Part)).tensors is not None:
                yield part.tensors
        except WorkerLost:
            self.suspect = True
            raise WorkerLost(await self._sentence(link)) from None
        finally:
            if link.alive:
                link.tell(lambda number: Close(number, opened), lambda _: None)

    async def release(self) -> None:
        self.released = True
        with contextlib.suppress(ModelyardError):
            await self._release(self)

    def _away(self) -> WorkerAway:
        return WorkerAway(f"the model '{self.name}' cannot answer now: {self.trouble or 'its process has ended'}")

    async def _lost(self, link: Link, done: Callable[[Sequence[Outcome]], None], count: int) -> None:
        sentence = await self._sentence(link)
        done([WorkerLost(sentence)] * count)

    async def _sentence(self, link: Link) -> str:
        return f"the process of the model '{self.name}' ended while it ran this request ({await link.how_it_ended()})"
