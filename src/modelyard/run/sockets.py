"""Where the runtime of a local replica is heard by gateways of this machine, beside its ports."""

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from modelyard.runtime.http.unix_socket import LONGEST_PATH_BYTES

FILE = "runtime.sock"


def path(replica_folder: Path) -> Path:
    """In the replica's folder, or, where that path is too long for a socket, in a folder of this user's under /tmp."""
    near = replica_folder.absolute() / FILE
    if len(os.fsencode(near)) <= LONGEST_PATH_BYTES:
        return near
    digest = hashlib.blake2b(os.fsencode(near), digest_size=10).hexdigest()
    return Path(f"/tmp/modelyard-{os.getuid()}/{digest}.sock")


def prepare(socket: Path) -> None:
    """Make its folder. Raises OSError, also where the folder is not this user's alone: who owns it owns the socket."""
    if socket.name == FILE:
        return
    socket.parent.mkdir(mode=0o700, exist_ok=True)
    found = socket.parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(1, f"{socket.parent} is not a folder of this user alone", str(socket.parent))


def remove(socket: Path) -> None:
    """What a runtime that was killed left behind."""
    with contextlib.suppress(OSError):
        socket.unlink()
