"""Unpack archives that nobody vouches for: nothing leaves the folder, nothing but files and folders comes out."""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

ZIP_ENDINGS = (".zip",)
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
_CHUNK_BYTES = 1 << 20


class BadArchive(Exception):
    """The reason, to follow "the archive": "is damaged: …", "holds a link out of itself: …"."""


def is_archive(name: str) -> bool:
    return name.lower().endswith(ZIP_ENDINGS + TAR_ENDINGS)


class Budget:
    """How much may still come out. `spend` also is where a called-off unpacking ends."""

    def __init__(self, most_bytes: int, most_files: int, check: Callable[[], None]) -> None:
        self.bytes_left, self.files_left, self._check = most_bytes, most_files, check
        self._most = f"more than {most_bytes} bytes or {most_files} files"

    def spend(self, size_bytes: int, files: int = 0) -> None:
        self._check()
        self.bytes_left -= size_bytes
        self.files_left -= files
        if self.bytes_left < 0 or self.files_left < 0:
            raise BadArchive(f"unpacks to {self._most}")


def unpack(archive: Path, name: str, target: Path, budget: Budget) -> None:
    """Unpack into the existing, empty folder `target`. Raises `BadArchive`; other OSErrors are the disk's."""
    try:
        if name.lower().endswith(ZIP_ENDINGS):
            _unzip(archive, target, budget)
        else:
            _untar(archive, target, budget)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression that we do not know.
        raise BadArchive(f"is damaged or not supported: {error}") from error
    except OSError as error:
        if error.errno is None:  # gzip's "Not a gzipped file", CRC failures
            raise BadArchive(f"is damaged: {error}") from error
        raise


def _unzip(archive: Path, target: Path, budget: Budget) -> None:
    with zipfile.ZipFile(archive) as source:
        for info in source.infolist():
            path = _inside(target, info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise BadArchive(f"holds something that is neither file nor folder: {info.filename}")
            if info.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            with source.open(info) as content:
                _write(content, path, budget)


def _untar(archive: Path, target: Path, budget: Budget) -> None:
    with tarfile.open(archive, "r:*") as source:
        for member in source:
            path = _inside(target, member.name)
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif member.isfile() or member.islnk() or member.issym():
                try:
                    content = source.extractfile(member)  # a link yields the file in the archive that it points to
                except (KeyError, RecursionError) as error:
                    raise BadArchive(f"holds a link to what is not in it: {member.name}") from error
                if content is None:
                    raise BadArchive(f"holds a link to a folder: {member.name}")
                with content:
                    _write(content, path, budget)
            else:
                raise BadArchive(f"holds something that is neither file nor folder: {member.name}")


def _inside(target: Path, name: str) -> Path:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or "\0" in name or "\\" in name:
        raise BadArchive(f"holds a path that leaves it: {name}")
    return target / relative


def _write(content: IO[bytes], path: Path, budget: Budget) -> None:
    budget.spend(0, files=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            while chunk := content.read(_CHUNK_BYTES):
                budget.spend(len(chunk))
                file.write(chunk)
    except (FileExistsError, IsADirectoryError) as error:
        raise BadArchive(f"holds the same path twice: {path.name}") from error
