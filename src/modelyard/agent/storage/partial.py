"""What has come of a download so far, on disk: a broken one, or one of an agent that died, goes on from there.

    <artifacts>/partial/<sha256 of the identity>/plan.json    the files as the store listed them
                                                 marks        one byte for each part: 1 once it is written
                                                 wanted       the versions that want it, one a line
                                                 files/…      the files, with holes

It counts only for the same plan, with an ETag for each file, and only until the machine restarts: nothing is synced
before a download is whole.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from modelyard.agent.storage.remote import RemoteFile

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Part:
    """`index`: of its mark. `end` None: up to where the file ends."""

    index: int
    file: RemoteFile
    start: int
    end: int | None


class Partial:
    """Its methods block; `write` and `mark` may be called from several threads."""

    def __init__(self, root: Path, identity: str) -> None:
        self.folder = root / hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()

    def want(self, versions: Iterable[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "wanted").write_text("\n".join(sorted(versions)))

    def open(self, files: tuple[RemoteFile, ...], part_bytes: int) -> None:
        """Keep what is there if it is of these very files, else begin anew."""
        plan = json.dumps({"boot": _boot(), "part": part_bytes, "files": [asdict(it) for it in files]}).encode()
        path = self.folder / "plan.json"
        if not all(it.etag for it in files) or not path.is_file() or path.read_bytes() != plan:
            self.clear()
            path.write_bytes(plan)
        self.parts = tuple(_parts(files, part_bytes))
        self._tree.mkdir(exist_ok=True)
        for file in files:
            target = self.target(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(mode=0o600)
        marks = self.folder / "marks"
        marks.touch()
        self._marks = bytearray(marks.read_bytes()[: len(self.parts)])
        self._marks += bytes(len(self.parts) - len(self._marks))

    def clear(self) -> None:
        for name in ("plan.json", "marks"):
            (self.folder / name).unlink(missing_ok=True)
        if self._tree.exists():
            shutil.rmtree(self._tree)

    @property
    def _tree(self) -> Path:
        return self.folder / "files"

    def target(self, file: RemoteFile) -> Path:
        return self._tree / file.path

    def take(self, to: Path) -> None:
        """The folder of all files becomes `to`; nothing of the download is left."""
        self._tree.rename(to)
        shutil.rmtree(self.folder)

    def done(self, part: Part) -> bool:
        return self._marks[part.index] == 1

    def mark(self, part: Part, done: bool = True) -> None:
        self._marks[part.index] = done
        descriptor = os.open(self.folder / "marks", os.O_WRONLY)
        try:
            os.pwrite(descriptor, bytes([done]), part.index)
        finally:
            os.close(descriptor)


def _parts(files: tuple[RemoteFile, ...], part_bytes: int) -> Iterator[Part]:
    index = 0
    for file in files:
        if file.size is None or not file.ranges or file.size <= part_bytes:
            yield Part(index, file, 0, file.size)
            index += 1
            continue
        for start in range(0, file.size, part_bytes):
            yield Part(index, file, start, min(start + part_bytes, file.size))
            index += 1


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def keep_wanted(root: Path, versions: Iterable[str]) -> None:
    """At the start: away with what nobody wants any more."""
    wanted = set(versions)
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.iterdir():
        if not wanted & _wanted_by(folder):
            shutil.rmtree(folder, ignore_errors=True)


def drop(root: Path, version: str, trash: Path) -> list[Path]:
    """The version wants nothing any more. Quick: what only it wanted is moved to `trash`, on the same file system,
    and returned to be removed."""
    gone: list[Path] = []
    for folder in root.iterdir():
        others = _wanted_by(folder)
        if version in others:
            others.discard(version)
            if others:
                (folder / "wanted").write_text("\n".join(sorted(others)))
            else:
                gone.append(folder.rename(trash / f"{uuid.uuid4().hex}.gone"))
    return gone


def _wanted_by(folder: Path) -> set[str]:
    try:
        return set((folder / "wanted").read_text().split("\n")) - {""}
    except OSError:
        return set()
