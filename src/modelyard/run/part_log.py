"""Where the parts write what they say: one file each, bounded in size, the one before kept beside it as `.1`."""

import os
import shutil
from pathlib import Path

MOST_BYTES = 10 * 1024 * 1024
TAIL_LINES = 8
_TAIL_BYTES = 16 * 1024


def open_for(path: Path, *, fresh: bool) -> int:
    """A descriptor to append to. `fresh`: a new file, the old one becomes `.1`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if fresh and path.exists():
        path.replace(_old(path))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def bound(path: Path, most_bytes: int = MOST_BYTES) -> bool:
    """Copy a file that grew too large aside and empty it, under the feet of its writer, who appends. True: done."""
    try:
        if path.stat().st_size <= most_bytes:
            return False
        shutil.copyfile(path, _old(path))
        os.truncate(path, 0)
    except FileNotFoundError:
        return False
    return True


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines, for a message that has to say why a part ended. Empty when it said nothing."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def _old(path: Path) -> Path:
    return path.with_name(path.name + ".1")
