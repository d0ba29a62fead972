"""Keeps parts running: starts each, starts it again when it dies, ends it when told.

    starting ──ready──▶ running ──dies──▶ waiting (backoff) ──▶ starting …          end: SIGTERM, then SIGKILL

One line is logged for whatever happens to a part.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.kit import backoff
from modelyard.kit.errors import ModelyardError, Unavailable
from modelyard.run import child, part_log
from modelyard.run.child import Child
from modelyard.run.system import Part

FIRST_DELAY_SECONDS = 0.2
MOST_DELAY_SECONDS = 15.0
# A part that ran this long is healthy again: its next death is the first.
STABLE_SECONDS = 30.0
PATIENCE_SECONDS = 8.0
READY_POLL_SECONDS = 0.05
# Deaths in a row, before a part was ever ready, after which starting it has failed.
TRIES = 3

# The supervisor's own, when it is detached.
NAMES_OF_OTHER_LOGS = ("up",)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What to run, and how to see that it is ready. The name is also that of its log."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[], Awaitable[bool]]
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    tries: int = TRIES


class Supervised:
    """One part under supervision. Made by `Supervisor.start`."""

    def __init__(self, spec: PartSpec, owner: "Supervisor") -> None:
        self.spec = spec
        self.restarts = 0
        self.ready = asyncio.Event()
        self.failed: asyncio.Future[ModelyardError] = asyncio.get_running_loop().create_future()
        self._owner = owner
        self._child: Child | None = None
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    @property
    def log_path(self) -> Path:
        return self._owner.log_path(self.spec.name)

    @property
    def part(self) -> Part | None:
        """As system.json tells it; None while it is not running."""
        if self._child is None or not self._child.alive:
            return None
        return Part(
            name=self.spec.name,
            pid=self._child.id.pid,
            create_time=self._child.id.create_time,
            ports=self.spec.ports,
            restarts=self.restarts,
            log=str(self.log_path),
            argv=self.spec.argv,
        )

    def begin(self, leftover: Part | None) -> None:
        self._task = asyncio.create_task(self._keep(leftover), name=f"keep {self.spec.name}")
        self._task.add_done_callback(self._keeping_ended)

    def _keeping_ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s is no longer watched", self.spec.name, exc_info=error)

    async def _keep(self, leftover: Part | None) -> None:
        delays = self._delays()
        deaths = 0
        while True:
            started = time.monotonic()
            try:
                self._child = self._adopt_or_start(leftover)
            except OSError as error:
                self._fail(f"cannot be started: {error}")
                return
            leftover = None
            self._owner.changed()
            code = await self._run(self._child)
            self._owner.changed()
            if self._ending:
                return
            if self.ready.is_set():
                deaths = 0
            self.ready.clear()
            deaths += 1
            how = child.describe_end(code)
            if deaths >= self.spec.tries and not self.failed.done():
                self._fail(f"{how} before it was ready{self._last_words()}")
            if time.monotonic() - started > STABLE_SECONDS:
                delays = self._delays()
            wait = next(delays)
            self.restarts += 1
            log.warning("%s %s; starting it again in %.1f s (restart %d)", self.spec.name, how, wait, self.restarts)
            await asyncio.sleep(wait)

    def _adopt_or_start(self, leftover: Part | None) -> Child:
        if leftover is not None and leftover.process.is_alive():
            log.info("%s still runs (pid %d): adopted", self.spec.name, leftover.pid)
            self.restarts = leftover.restarts
            return child.adopt(leftover.process)
        begun = child.start(
            self.spec.argv,
            self.log_path,
            cwd=self._owner.directory,
            environment=self._owner.environment,
            fresh_log=self._owner.first_time(self.spec.name),
        )
        log.info("%s started (pid %d%s)", self.spec.name, begun.id.pid, _ports(self.spec.ports))
        return begun

    async def _run(self, running: Child) -> int | None:
        """Until it ends; meanwhile notice when it is ready."""
        notice = asyncio.create_task(self._notice_ready())
        try:
            return await asyncio.shield(running.ended)
        finally:
            notice.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await notice

    async def _notice_ready(self) -> None:
        while not await self.spec.is_ready():  # noqa: ASYNC110  # nobody would set an event
            await asyncio.sleep(READY_POLL_SECONDS)
        self.ready.set()

    async def wait_ready(self, seconds: float) -> None:
        """Raises `Unavailable` with what the part said last, when it dies again and again or takes too long."""
        ready = asyncio.create_task(self.ready.wait())
        try:
            either: set[asyncio.Future[Any]] = {ready, self.failed}
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self.ready.is_set():
            return
        if self.failed.done():
            raise self.failed.result()
        raise Unavailable(f"{self.spec.name} is not ready after {seconds:.0f} s{self._last_words()}")

    async def end(self) -> None:
        """Returns when the process is gone; it is not started again."""
        self._ending = True
        if self._child is not None and self._child.alive:
            if await self._child.end(PATIENCE_SECONDS):
                log.info("%s stopped", self.spec.name)
            else:
                log.warning("%s did not stop within %.0f s and was killed", self.spec.name, PATIENCE_SECONDS)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._owner.forget(self)

    def kill(self) -> None:
        """Without patience; `end` still waits for it."""
        self._ending = True
        if self._child is not None:
            self._child.kill()

    def _fail(self, why: str) -> None:
        if not self.failed.done():
            self.failed.set_result(Unavailable(f"{self.spec.name} {why}"))

    def _last_words(self) -> str:
        words = part_log.tail(self.log_path)
        return f"; its log {self.log_path} ends with:\n{words}" if words else f"; its log {self.log_path} is empty"

    @staticmethod
    def _delays() -> Iterator[float]:
        return backoff.delays(FIRST_DELAY_SECONDS, MOST_DELAY_SECONDS)


class Supervisor:
    """All parts of one system. `changed` is called whenever one started or ended."""

    def __init__(self, directory: Path, changed: Callable[[], None] = lambda: None) -> None:
        self.directory = directory
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.changed = changed
        self.parts: dict[str, Supervised] = {}
        self._begun: set[str] = set()

    def log_path(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def first_time(self, name: str) -> bool:
        first = name not in self._begun
        self._begun.add(name)
        return first

    def start(self, spec: PartSpec, leftover: Part | None = None) -> Supervised:
        """`leftover`: a running process of that name that an earlier supervisor started with the same arguments."""
        assert spec.name not in self.parts, f"{spec.name} runs already"
        supervised = self.parts[spec.name] = Supervised(spec, self)
        supervised.begin(leftover)
        return supervised

    def forget(self, supervised: Supervised) -> None:
        if self.parts.get(supervised.spec.name) is supervised:
            del self.parts[supervised.spec.name]
            self.changed()

    async def end(self, *names: str) -> None:
        """End these at the same time; names that do not run are fine."""
        await asyncio.gather(*(self.parts[name].end() for name in names if name in self.parts))

    def kill_all(self) -> None:
        for supervised in self.parts.values():
            supervised.kill()

    def running(self) -> tuple[Part, ...]:
        return tuple(part for supervised in self.parts.values() if (part := supervised.part) is not None)

    def bound_logs(self) -> None:
        for name in (*self.parts, *NAMES_OF_OTHER_LOGS):
            part_log.bound(self.log_path(name))


def _ports(ports: Mapping[str, int]) -> str:
    return "".join(f", {name} port {port}" for name, port in ports.items())
