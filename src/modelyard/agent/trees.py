"""Folders of files: copy, hash, link, make durable, remove. Blocking: to be called in threads."""

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

_CHUNK_BYTES = 1 << 20


class NotAFile(Exception):
    """Something in a tree is neither file nor folder: reading it might never end."""


def files(root: Path) -> Iterator[Path]:
    """Every regular file below, in a stable order; links are followed. Raises `NotAFile`, `OSError`."""

    def complain(error: OSError) -> None:
        raise error

    seen = {os.path.realpath(root)}
    for folder, names, leaves in os.walk(root, followlinks=True, onerror=complain):
        names.sort()
        for name in list(names):
            real = os.path.realpath(os.path.join(folder, name))  # noqa: PTH118
            if real in seen:
                names.remove(name)  # a link back up would never end
            seen.add(real)
        for leaf in sorted(leaves):
            path = Path(folder) / leaf
            if not stat.S_ISREG(path.stat().st_mode):
                raise NotAFile(str(path))
            yield path


def copy(source: Path, target: Path, spend: Callable[[int, int], None]) -> None:
    """Copy a folder's or one file's contents into the existing folder `target`. `spend(bytes, files)` may raise."""
    if not source.is_dir():
        if not stat.S_ISREG(source.stat().st_mode):
            raise NotAFile(str(source))
        _copy_file(source, target / source.name, spend)
        return
    for path in files(source):
        to = target / path.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        _copy_file(path, to, spend)


def _copy_file(source: Path, target: Path, spend: Callable[[int, int], None]) -> None:
    spend(0, 1)
    with source.open("rb") as content, target.open("xb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            spend(len(chunk), 0)
            file.write(chunk)


def seal(root: Path, check: Callable[[], None]) -> tuple[str, int]:
    """Make a tree durable and read-only. Returns its digest (names and contents) and the number of its files."""
    digest, count = hashlib.sha256(), 0
    for path in files(root):
        check()
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
            os.fsync(file.fileno())
        path.chmod(0o444)
        name = path.relative_to(root).as_posix().encode("utf-8", "surrogateescape")
        digest.update(len(name).to_bytes(8, "big") + name + content)
        count += 1
    for folder, _, _ in os.walk(root, topdown=False):
        sync_folder(Path(folder))
    return digest.hexdigest(), count


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(source: Path, target: Path) -> None:
    """Make `target` a folder with the same files, sharing their bytes on disk where the file system can."""
    target.mkdir()
    for path in files(source):
        link_file(path, target / path.relative_to(source))


def link_file(source: Path, target: Path) -> None:
    """The same file under another path, whose folders are made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or too many links
        shutil.copyfile(source, target)


def remove(path: Path, trash: Path) -> None:
    """Out of sight at once, then off the disk. What is not there is fine. `trash` is on the same file system."""
    away = trash / f"{uuid.uuid4().hex}.gone"
    try:
        path.rename(away)
    except FileNotFoundError:
        return
    shutil.rmtree(away)


def write_file(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably; only its owner can read it."""
    new = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        with open(new, "xb", opener=lambda it, flags: os.open(it, flags, 0o600)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(path.parent)
