"""A unix socket to listen on, for the processes of the same user on this machine."""

import contextlib
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from modelyard.kit.errors import Refused

LONGEST_PATH_BYTES = 107  # Linux's limit for the address of a unix socket


@dataclass(frozen=True, slots=True)
class Bound:
    """`remove` takes its file away, unless somebody else has put another one in its place."""

    socket: socket.socket
    path: Path
    file: tuple[int, int]

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            if _file(self.path) == self.file:
                self.path.unlink()


def bind(path: Path) -> Bound:
    """Take the path, also from a process that died there. Nobody can connect before its permissions are set.

    Raises `Refused` where somebody listens there, where something else than a socket is, and where it cannot be made.
    """
    if len(os.fsencode(path)) > LONGEST_PATH_BYTES:
        raise Refused(f"cannot listen on {path}: the path of a unix socket has at most {LONGEST_PATH_BYTES} bytes")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        made.setblocking(False)
        made.bind(os.fspath(path))
        path.chmod(0o600)
        return Bound(made, path, _file(path))
    except OSError as error:
        made.close()
        raise Refused(f"cannot listen on {path}: {error.strerror or error}") from error
    except Refused:
        made.close()
        raise


def _file(path: Path) -> tuple[int, int]:
    """Which file it is: inodes alone are used again at once."""
    found = path.lstat()
    return found.st_ino, found.st_ctime_ns


def _remove_stale(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise Refused(f"cannot listen on {path}: there is something that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise Refused(f"cannot listen on {path}: another process does")
