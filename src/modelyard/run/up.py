"""The process behind `modelyard up`: the supervisor of a whole system on this machine.

    lock ─▶ start parts ─▶ ready (said once) ─▶ until SIGINT, SIGTERM or `down` ─▶ end every part ─▶ unlock

Run as `python -m modelyard.run.up` it is the detached one: it reports through a pipe to the command that started it.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console

import modelyard
from modelyard.kit import logs
from modelyard.kit.errors import ModelyardError, Refused, Unavailable
from modelyard.run import lock, options, system
from modelyard.run.options import UpOptions
from modelyard.run.table import LinesAbove, LiveTable
from modelyard.run.whole_system import WholeSystem

log = logging.getLogger(__name__)


def run(given: UpOptions, *, console: Console | None = None, on_ready: Callable[[], None] = lambda: None) -> None:
    """Until a signal ends it. `console`: a terminal for the live table.

    Raises a `ModelyardError` when it cannot start; nothing is left running then.
    """
    directory = given.state_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = lock.acquire(directory)
    except OSError as error:
        raise Refused(f"the state directory {directory} cannot be used: {error.strerror}") from error
    if held is None:
        raise already_running(directory)
    if console is not None:
        logging.basicConfig(level=logging.INFO, handlers=[LinesAbove(console)], force=True)
    try:
        asyncio.run(_supervise(given, console, on_ready))
    finally:
        held.release()


def already_running(directory: Path) -> Refused:
    now = system.read(directory)
    where = f", gateway {now.gateway}" if now is not None else ""
    return Refused(
        f"a Modelyard is already running in {directory} (pid {lock.holder(directory) or '?'}{where}): "
        "stop it with `modelyard down`, or start another one with its own --state-dir and --port-base"
    )


async def _supervise(given: UpOptions, console: Console | None, on_ready: Callable[[], None]) -> None:
    stopping = asyncio.Event()
    whole = WholeSystem(given)

    def stop() -> None:
        if stopping.is_set():  # asked twice: no more patience
            whole.kill()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    system.announce(given.state_dir)
    work = asyncio.create_task(_start_and_show(whole, console, on_ready))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.is_set():
            work.result()  # it only ends by an error
    finally:
        for task in (work, stopped):
            task.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)
        if stopping.is_set():
            log.info("stopping")
        stopping.set()
        await whole.end()
    log.info("stopped; the state is kept in %s", given.state_dir)


async def _start_and_show(whole: WholeSystem, console: Console | None, on_ready: Callable[[], None]) -> None:
    await whole.start()
    await whole.wait_ready()
    log.info("ready: inference (REST and gRPC) at %s, scheduler API at %s", whole.gateway, whole.scheduler)
    on_ready()
    if console is not None:
        heading = f"Modelyard {modelyard.__version__} · inference {whole.gateway} · Ctrl-C stops everything"
        try:
            await LiveTable(console, scheduler=whole.scheduler, heading=heading).show()
        except Exception:
            log.exception("the table cannot be shown; everything goes on without it")
    await asyncio.Event().wait()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="modelyard.run.up", description=__doc__.splitlines()[0])
    parser.add_argument("--state-dir", required=True, type=Path)
    parser.add_argument("--port-base", type=int, default=system.DEFAULT_PORT_BASE)
    parser.add_argument("--replicas", type=int)
    parser.add_argument("--memory")
    parser.add_argument("--overcommit", type=int)
    parser.add_argument("--secrets", type=Path)
    parser.add_argument("--mlserver-python", type=Path)
    parser.add_argument("--triton-binary", type=Path)
    parser.add_argument("--report-fd", type=int, help="where to write one JSON line: ready, or the error")
    parser.add_argument("--log-level", choices=logs.LEVELS, default="info")
    chosen = parser.parse_args(arguments)
    logs.configure("up", chosen.log_level)
    report = _Report(chosen.report_fd)
    try:
        given = options.check(
            state_dir=system.state_dir(chosen.state_dir),
            port_base=chosen.port_base,
            replicas=chosen.replicas,
            memory=chosen.memory,
            overcommit=chosen.overcommit,
            secrets=chosen.secrets,
            mlserver_python=chosen.mlserver_python,
            triton_binary=chosen.triton_binary,
        )
        run(given, on_ready=lambda: report.send({"ready": True}))
    except ModelyardError as error:
        log.error("%s", error)
        with suppress(Unavailable):
            report.send({"error": str(error), "kind": type(error).__name__})
        return error.exit_code
    return 0


class _Report:
    """One line to whoever started this process and waits for it."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def send(self, message: dict[str, object]) -> None:
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.write(descriptor, (json.dumps(message) + "\n").encode())
        except BrokenPipeError:
            # Its user gave up, or was killed: then this must not appear out of nowhere later.
            raise Unavailable("whoever started this does not wait any more: stopping") from None
        finally:
            os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
