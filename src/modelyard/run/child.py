"""One running process that somebody waits for: a child of ours, or one that an earlier `modelyard up` left running."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelyard.run import part_log
from modelyard.run.processes import ProcessId, identify

POLL_SECONDS = 0.2


class Child:
    """A process in a session of its own: a Ctrl-C on the terminal does not reach it, and a signal reaches its children.

    `ended` becomes the exit code, negative for a signal; None where it is not our child, whose code nobody tells us.
    """

    def __init__(self, id: ProcessId, process: subprocess.Popen[bytes] | None) -> None:
        self.id = id
        self._process = process
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._poll: asyncio.Task[None] | None = None
        self._watch()

    def _watch(self) -> None:
        # A pid descriptor becomes readable when the process ends, whoever its parent is.
        loop = asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(self.id.pid)
        except OSError:
            self._poll = asyncio.create_task(self._poll_until_gone())
            return

        def gone() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            self._finish()

        loop.add_reader(descriptor, gone)

    async def _poll_until_gone(self) -> None:
        """Where the kernel has no pid descriptors, or the process is gone already."""
        while self.id.is_alive():  # noqa: ASYNC110  # nobody would set an event
            await asyncio.sleep(POLL_SECONDS)
        self._finish()

    def _finish(self) -> None:
        code: int | None = None
        if self._process is not None:
            # What it started must not outlive it. Its pid, and so its group, stays reserved until we collect it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.id.pid, signal.SIGKILL)
            code = self._process.wait()
        if not self.ended.done():
            self.ended.set_result(code)

    @property
    def alive(self) -> bool:
        return not self.ended.done()

    def kill(self) -> None:
        if self.alive:
            self.id.signal(signal.SIGKILL)

    async def end(self, patience_seconds: float) -> bool:
        """SIGTERM, then SIGKILL when it takes too long; returns when it is gone. False: it had to be killed."""
        if self.alive:
            self.id.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.ended), patience_seconds)
        if self.alive:
            self.kill()
            await asyncio.shield(self.ended)
            return False
        return True


def start(argv: Sequence[str], log: Path, *, cwd: Path, environment: Mapping[str, str], fresh_log: bool) -> Child:
    """Raises OSError when there is nothing to start."""
    descriptor = part_log.open_for(log, fresh=fresh_log)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=cwd,
            env=dict(environment),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    # It cannot be gone from the process table: we have not collected it.
    id = identify(process.pid)
    assert id is not None
    return Child(id, process)


def adopt(id: ProcessId) -> Child:
    return Child(id, None)


def describe_end(code: int | None) -> str:
    """How it ended, in words."""
    match code:
        case None:
            return "ended"
        case 0:
            return "ended by itself"
        case code if code < 0:
            with contextlib.suppress(ValueError):
                return f"was killed by {signal.Signals(-code).name}"
            return f"was killed by signal {-code}"
        case _:
            return f"ended with exit code {code}"
