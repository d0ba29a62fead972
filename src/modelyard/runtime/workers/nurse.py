"""The server's side of the nursery: start it, have it fork workers, and hear how they ended."""

import asyncio
import itertools
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.kit.errors import Unavailable

log = logging.getLogger(__name__)

_MESSAGE_BYTES = 1 << 16
# Libraries make threads of their own, as many as there are cores, in every process that lets them.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# The first fork waits for the imports.
_FORK_SECONDS = 120.0


@dataclass(slots=True)
class Born:
    """A worker's process. `ended` is its exit code, negative for a signal; None: the nursery itself went."""

    pid: int
    connection: socket.socket
    ended: "asyncio.Future[int | None]"


@dataclass(slots=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    control: socket.socket
    forking: dict[int, "asyncio.Future[tuple[int, asyncio.Future[int | None]]]"] = field(default_factory=dict)
    ends: dict[int, "asyncio.Future[int | None]"] = field(default_factory=dict)


class Nurse:
    """Starts a nursery when the first worker is wanted, and another one when it has gone."""

    def __init__(self, threads: int, log_level: str = "info") -> None:
        self._threads = threads
        self._log_level = log_level
        self._running: _Running | None = None
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        return self._running.process.pid if self._running is not None else None

    async def fork(self) -> Born:
        """Raises `Unavailable` when there can be no process."""
        loop = asyncio.get_running_loop()
        async with self._starting:
            running = self._running
            if running is None:
                try:
                    running = self._running = await loop.run_in_executor(None, self._start)
                except OSError as error:
                    raise Unavailable(f"worker processes cannot be started: {error}") from None
                loop.add_reader(running.control, self._hear, running)
        try:
            here, there = socket.socketpair()
        except OSError as error:
            raise Unavailable(f"a worker process cannot be started: {error}") from None
        number = next(self._numbers)
        forked: asyncio.Future[tuple[int, asyncio.Future[int | None]]] = loop.create_future()
        running.forking[number] = forked
        try:
            with there:
                message = json.dumps({"fork": number}).encode()
                await loop.run_in_executor(None, socket.send_fds, running.control, [message], [there.fileno()])
            async with asyncio.timeout(_FORK_SECONDS):
                pid, ended = await forked
        except BaseException as error:
            here.close()
            if isinstance(error, OSError | TimeoutError):
                raise Unavailable(f"a worker process cannot be started: {error or 'it took too long'}") from None
            raise
        finally:
            running.forking.pop(number, None)
        return Born(pid, here, ended)

    def close(self) -> None:
        """End the nursery, and all workers with it."""
        running, self._running = self._running, None
        if running is not None:
            asyncio.get_running_loop().remove_reader(running.control)
            running.control.close()
            self._gone(running, "the server is stopping")

    def _start(self) -> _Running:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            command = [sys.executable, "-m", "modelyard.runtime.workers.nursery", str(there.fileno()), self._log_level]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env=self._environment(), pass_fds=[there.fileno()]
            )
        return _Running(process, here)

    def _environment(self) -> Mapping[str, str]:
        return {**dict.fromkeys(_THREADS, str(self._threads)), "MALLOC_ARENA_MAX": "2", **os.environ}

    def _hear(self, running: _Running) -> None:
        try:
            message = running.control.recv(_MESSAGE_BYTES)
        except OSError:
            message = b""
        if not message:
            asyncio.get_running_loop().remove_reader(running.control)
            running.control.close()
            if self._running is running:
                self._running = None
                log.warning("the nursery of workers ended; the next worker starts another one")
            self._gone(running, "the process that starts workers ended")
            return
        said = json.loads(message)
        if "ended" in said:
            ended = running.ends.pop(said["ended"], None)
            if ended is not None and not ended.done():
                ended.set_result(said["status"])
            return
        if "problem" in said:
            forked = running.forking.get(said["forked"])
            if forked is not None and not forked.done():
                forked.set_exception(Unavailable(f"a worker process cannot be started: {said['problem']}"))
            return
        ended = running.ends[said["pid"]] = asyncio.get_running_loop().create_future()
        forked = running.forking.get(said["forked"])
        if forked is not None and not forked.done():
            forked.set_result((said["pid"], ended))

    def _gone(self, running: _Running, why: str) -> None:
        for forked in running.forking.values():
            if not forked.done():
                forked.set_exception(Unavailable(f"a worker process cannot be started: {why}"))
        for ended in running.ends.values():
            if not ended.done():
                ended.set_result(None)
        asyncio.get_running_loop().run_in_executor(None, running.process.wait)
