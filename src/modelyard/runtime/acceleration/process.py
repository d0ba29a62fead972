"""Running the child, within its bounds of memory and time."""

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from modelyard.runtime.acceleration import task
from modelyard.runtime.acceleration.task import Task

# What the libraries take before the first byte of a model, and what a byte of artifact came to at most (docs/adr/0018).
_FIXED_BYTES = 400 << 20
_BYTES_FOR_A_BYTE = 12
_LAST_LINES_BYTES = 2_000
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Bounds:
    memory_bytes: int = 4 << 30
    seconds: float = 600.0


class GaveUp(Exception):
    """The sentence says why; another time it may go better."""


def check_room(artifact_bytes: int, bounds: Bounds) -> None:
    """Raises `GaveUp` where compiling would exceed the bound, or what the machine has free now."""
    need = _FIXED_BYTES + _BYTES_FOR_A_BYTE * artifact_bytes
    if need > bounds.memory_bytes:
        raise GaveUp(f"compiling would take about {_size(need)}, and {_size(bounds.memory_bytes)} are allowed")
    free = _free_bytes()
    if need > free:
        raise GaveUp(f"compiling would take about {_size(need)}, and {_size(free)} are free")


async def run(told: Task, bounds: Bounds) -> None:
    """Returns when the child has written its report. Whoever cancels this ends the child. Raises `GaveUp`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "modelyard.runtime.acceleration.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        start_new_session=True,  # what is typed at the server's terminal is not meant for it
    )
    try:
        async with asyncio.timeout(bounds.seconds):
            _, said = await asyncio.gather(_tell(process, task.to_json(told)), _last(process))
            await process.wait()
    except TimeoutError:
        raise GaveUp(f"compiling was not done after {bounds.seconds:.0f} s") from None
    finally:
        await asyncio.shield(_end(process))
    if process.returncode == task.NO_MEMORY or b"bad_alloc" in said:
        raise GaveUp(f"compiling took more than the {_size(bounds.memory_bytes)} of memory that are allowed")
    if process.returncode != task.DONE:
        raise GaveUp(f"compiling {_how(process.returncode or 0)}{_last_line(said)}")


async def _tell(process: asyncio.subprocess.Process, told: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has ended; its exit code says how
        process.stdin.write(told)
        await process.stdin.drain()
    process.stdin.close()


async def _last(process: asyncio.subprocess.Process) -> bytes:
    """The end of what it says: a model may say much."""
    assert process.stderr is not None
    said = b""
    while more := await process.stderr.read(1 << 16):
        said = (said + more)[-_LAST_LINES_BYTES:]
    return said


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it started
        await process.wait()


def _how(code: int) -> str:
    return f"ended with {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def _free_bytes() -> int:
    """Of the machine; of the container where that has less."""
    free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):  # another system, or no bound
        most, now = (int((_CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, most - now)
    return free


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
