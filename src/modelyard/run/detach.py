"""`modelyard up --detach`: start the supervisor in a session of its own, wait for its one line, leave it running.

this command ──starts──▶ python -m modelyard.run.up        the line comes by a pipe: ready, or the error;
             ◀──one line──                                 its end without a line means that it died
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from modelyard.kit import errors
from modelyard.kit.errors import KINDS, ModelyardError, Unavailable
from modelyard.run import down, lock, part_log, system
from modelyard.run.options import UpOptions
from modelyard.run.system import System
from modelyard.run.up import already_running

LOG = "up.log"


def start(given: UpOptions) -> System:
    """Returns once the system is ready. Raises what kept it from starting; nothing is left running then."""
    directory = given.state_dir
    if lock.holder(directory) is not None:
        raise already_running(directory)
    log = directory / "logs" / LOG
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = part_log.open_for(log, fresh=True)
    except OSError as error:
        raise errors.Refused(f"the state directory {directory} cannot be used: {error.strerror}") from error
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [*_command(given), "--report-fd", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            start_new_session=True,
            pass_fds=[writing],
        )
    finally:
        os.close(descriptor)
        os.close(writing)
    with os.fdopen(reading) as report:
        try:
            line = report.readline()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
    if not line:
        process.wait()
        down.down(directory)  # the parts that it had begun
        raise Unavailable(f"`modelyard up` died while starting; its log {log} ends with:\n{part_log.tail(log)}")
    message = json.loads(line)
    if "error" in message:
        process.wait()
        raise _error_class(message["kind"])(message["error"])
    # It outlives us: nobody is to wait for it, nor to warn that nobody did.
    process.returncode = 0
    started = system.read(directory)
    if started is None:
        raise Unavailable(f"`modelyard up` was stopped while starting; see {log}")
    return started


def _command(given: UpOptions) -> Sequence[str]:
    wish = given.server
    flags = {
        "--state-dir": given.state_dir,
        "--port-base": given.port_base,
        "--replicas": wish.replicas,
        "--memory": wish.memory_bytes,
        "--overcommit": wish.overcommit_percent,
        "--secrets": given.secrets,
        "--mlserver-python": given.programs.mlserver_python,
        "--triton-binary": given.programs.triton_binary,
    }
    chosen = [text for flag, value in flags.items() if value is not None for text in (flag, str(value))]
    return (sys.executable, "-P", "-m", "modelyard.run.up", *chosen)


def _error_class(name: str) -> type[ModelyardError]:
    return next((it for it in KINDS if it.__name__ == name), ModelyardError)
