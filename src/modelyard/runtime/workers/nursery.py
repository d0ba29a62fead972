"""`python -m modelyard.runtime.workers.nursery FD`: a process that forks workers.

It imports what they need once, runs no model, and has one thread, so that forking it is safe. It gets an order, and the
worker's socket with it, on the socket FD; it says which process that is, and how each ended. When the server goes, it
goes, and the system ends its workers (PR_SET_PDEATHSIG), whatever they are doing.

    ▶ {"fork": 1} and a socket      ◀ {"forked": 1, "pid": 4711}, or "problem"      ◀ {"ended": 4711, "status": -9}
"""

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import threading

from modelyard.kit import logs

_PARENT_DEATH_SIGNAL = 1  # of Linux's prctl
_MESSAGE_BYTES = 1 << 16
_NICE = 10
# What most models need. scikit-learn's parts for pipelines and ensembles bring most of the others along.
_WANTED = ("modelyard.runtime.workers.child", "joblib", "sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline")


def main(fd: int, log_level: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        # The server ends its workers; a signal to all of its group must not do it before requests are answered. Not
        # SIG_IGN, which would outlive exec in whatever a model starts.
        signal.signal(number, lambda *_: None)
    control = socket.socket(fileno=fd)
    logs.configure("runtime", log_level)
    importing = threading.Thread(target=_import_what_is_wanted)
    importing.start()
    importing.join()  # gone before anything is forked
    gc.collect()
    gc.freeze()  # or the first collection of each worker would write to, and so copy, every page
    children = _children_signal()
    while True:
        ready, _, _ = select.select([control.fileno(), children], [], [])
        if children in ready:
            os.read(children, 1024)
            _tell_of_ends(control)
        if control.fileno() in ready:
            message, fds, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 1)
            if not message:
                os._exit(0)
            order = json.loads(message)["fork"]
            if fds:
                _fork(control, order, fds[0])
            else:
                _say(control, {"forked": order, "problem": "too many open files"})


def _import_what_is_wanted() -> None:
    os.nice(_NICE)  # of this thread: the server goes on answering
    # scikit-learn imports pandas where it is installed, for data sets that nobody loads here: 45 MB and a second.
    hidden = "pandas" not in sys.modules
    if hidden:
        sys.modules["pandas"] = None  # type: ignore[assignment]
    try:
        for name in _WANTED:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    finally:
        if hidden:
            del sys.modules["pandas"]


def _children_signal() -> int:
    """A pipe that has something to read when a child has ended."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def _tell_of_ends(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(control, {"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _fork(control: socket.socket, order: int, fd: int) -> None:
    nursery = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:  # too many processes, too little memory
        os.close(fd)
        _say(control, {"forked": order, "problem": str(error)})
        return
    if pid:
        os.close(fd)
        _say(control, {"forked": order, "pid": pid})
        return
    try:
        _be_a_worker(control, fd, nursery)
    finally:
        os._exit(1)


def _be_a_worker(control: socket.socket, fd: int, nursery: int) -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != nursery:
        os._exit(0)  # it died before that was said
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    from modelyard.runtime.workers import child

    child.main(socket.socket(fileno=fd))


def _say(control: socket.socket, what: dict[str, int | str]) -> None:
    with contextlib.suppress(OSError):
        control.send(json.dumps(what).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
