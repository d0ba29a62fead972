"""The one writer of the scheduler's state: takes events from a bounded mailbox in batches, performs the effects.

Whoever has an event puts it in by `tell`, or by `ask` where an answer is due. Effects are performed strictly in
order; the journal is written in a thread of its own, and nothing that follows from a write is done before it.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, assert_never

from modelyard.domain.status import Note
from modelyard.kit import clock
from modelyard.kit.errors import ModelyardError, Unavailable
from modelyard.scheduler import messages
from modelyard.scheduler.journal import Journal
from modelyard.scheduler.machine import Scheduler
from modelyard.scheduler.messages import Answer, Effect, Event
from modelyard.scheduler.probing import answers
from modelyard.scheduler.sessions import Sessions, Superseded
from modelyard.scheduler.watching import Watches

MAILBOX_EVENTS = 10_000
BATCH_EVENTS = 500
JOURNAL_RETRY_SECONDS = 1.0
TROUBLE_SECONDS = 5.0  # how long who asks waits for a journal that cannot be written

log = logging.getLogger(__name__)


class Publisher(Protocol):
    """Brings routes to the proxies; what became of them comes back as `RoutesSettled`."""

    def publish(self, effect: messages.PublishRoutes) -> None: ...

    def open(self) -> None: ...


class Core:
    """Runs the machine. `machine.state` may be read by anybody in the same event loop, between two turns."""

    def __init__(self, machine: Scheduler, journal: Journal, publisher: Publisher) -> None:
        self.machine = machine
        self.journal = journal
        self.sessions = Sessions()
        self.models = Watches()
        self.servers = Watches()
        self.manifests = Watches()
        self.opened = asyncio.Event()
        self.trouble = ""  # why nothing is acknowledged at present
        self._publisher = publisher
        self._mailbox: asyncio.Queue[Event | None] = asyncio.Queue(MAILBOX_EVENTS)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._tickets = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._probes: set[asyncio.Task[None]] = set()

    async def tell(self, event: Event) -> None:
        """Waits while the mailbox is full."""
        await self._mailbox.put(event)

    def tell_now(self, event: Event) -> None:
        """From a callback that cannot wait. The proxies' outcomes are few and merged, so a full mailbox waits."""
        try:
            self._mailbox.put_nowait(event)
        except asyncio.QueueFull:
            asyncio.get_running_loop().call_later(0.05, self.tell_now, event)

    async def ask(self, event: Callable[[int], Event]) -> Answer:
        """Put in `event(ticket)` and wait for its answer. Raises the answer where it is an error."""
        self._tickets += 1
        ticket = self._tickets
        self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            await self._mailbox.put(event(ticket))
            answer = await self._answered(self._waiting[ticket])
        finally:
            del self._waiting[ticket]
        if isinstance(answer, ModelyardError):
            raise answer
        return answer

    async def _answered(self, answer: "asyncio.Future[Answer]") -> Answer:
        """Who asks is not left without a word while nothing can be written down."""
        while not answer.done():
            await asyncio.wait({answer}, timeout=TROUBLE_SECONDS)
            if not answer.done() and self.trouble:
                raise Unavailable(
                    f"{self.trouble}; this change, too, takes effect then, unless the scheduler dies first"
                )
        return answer.result()

    async def on_disk(self, work: Callable[[Iterable[str]], None], what: Iterable[str]) -> None:
        """Something small to be written in the journal's own thread."""
        await asyncio.get_running_loop().run_in_executor(self._disk, work, what)

    async def events(self, subject: str, limit: int) -> tuple[Note, ...]:
        """The history, read in the journal's own thread: only what is committed, and without holding up the rest."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, self.journal.events, subject, limit)

    async def run(self, *, rebuild: bool) -> None:
        """Until cancelled."""
        try:
            await self._perform(self.machine.start(clock.now(), rebuild=rebuild, lost=self.journal.lost))
            while True:
                batch = [await self._mailbox.get()]
                while len(batch) < BATCH_EVENTS and not self._mailbox.empty():
                    batch.append(self._mailbox.get_nowait())
                await self._perform(self.machine.handle([e for e in batch if e is not None], clock.now()))
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            for probe in self._probes:
                probe.cancel()
            self._disk.shutdown()

    async def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case messages.Journal():
                    await self._write(effect)
                case messages.Send(replica, session, operation):
                    self.sessions.send(replica, session, operation)
                case messages.CloseSession(replica, session, reason):
                    self.sessions.send(replica, session, Superseded(reason))
                case messages.PublishRoutes():
                    self._publisher.publish(effect)
                case messages.ProbeEndpoint():
                    self._probe(effect)
                case messages.Reply(ticket, answer):
                    future = self._waiting.get(ticket)
                    if future is not None and not future.done():
                        future.set_result(answer)
                case messages.StatusChanged(models, servers):
                    self.models.tell(models)
                    self.servers.tell(servers)
                case messages.ManifestsChanged():
                    self.manifests.tell(["manifests"])
                case messages.Opened():
                    self._publisher.open()
                    self.opened.set()
                case messages.WakeAt(time):
                    self._wake_at(time)
                case _:
                    assert_never(effect)

    async def _write(self, effect: messages.Journal) -> None:
        """Nothing is acknowledged that is not on the disk: while it is full or broken, who asked waits."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._disk, self.journal.write, effect.writes, effect.notes)
            except sqlite3.Error as error:
                if not self.trouble:
                    log.error("cannot write the journal (%s): nothing is acknowledged until that works again", error)
                self.trouble = f"the journal cannot be written ({error}): changes wait until it can"
                await asyncio.sleep(JOURNAL_RETRY_SECONDS)
            else:
                if self.trouble:
                    log.warning("the journal can be written again")
                self.trouble = ""
                for note in effect.notes:
                    log.info("%s: %s (%s)", note.subject, note.text, note.cause)
                return

    def _wake_at(self, time: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        delay = max(0.0, time - clock.now())
        self._alarm = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        if self._mailbox.empty():
            self._mailbox.put_nowait(None)

    def _probe(self, effect: messages.ProbeEndpoint) -> None:
        async def probe() -> None:
            alive = await answers(effect.config.host, effect.config.http_port)
            await self.tell(messages.EndpointProbed(effect.replica, alive, f"probe {effect.replica}"))

        task = asyncio.create_task(probe(), name=f"probe {effect.replica}")
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)
