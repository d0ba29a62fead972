"""Where an agent and its front door meet: two unix sockets."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modelyard.kit.errors import Refused

LONGEST_SOCKET_PATH = 107  # bytes, in Linux


@dataclass(frozen=True, slots=True)
class Sockets:
    """`control`: the agent listens there, and the door calls; `admin`: the other way round."""

    control: Path
    admin: Path


def sockets(agent_folder: Path) -> Sockets:
    """In a folder that only this user can enter: the agent's, or, where its path is too long for a socket, a short one.

    The same for the same agent folder, always: so the next agent finds the door. Raises `Refused`.
    """
    folder = agent_folder.absolute() / "door"
    if len(os.fsencode(folder / "control.sock")) > LONGEST_SOCKET_PATH:
        folder = short_folder(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise Refused(f"the front door cannot use {folder}: it belongs to somebody else; remove it")
        folder.chmod(0o700)
    except OSError as error:
        raise Refused(f"the front door cannot use {folder}: {error.strerror}") from error
    return Sockets(folder / "control.sock", folder / "admin.sock")


def short_folder(folder: Path) -> Path:
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"modelyard-{os.getuid()}-{digest}"


def remove(agent_folder: Path) -> None:
    """Once neither runs any more: what they met at."""
    near = agent_folder.absolute() / "door"
    for folder in (near, short_folder(near)):
        with contextlib.suppress(OSError):
            for name in ("control.sock", "admin.sock"):
                (folder / name).unlink(missing_ok=True)
    shutil.rmtree(short_folder(near), ignore_errors=True)
