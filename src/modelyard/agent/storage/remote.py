"""Files that are elsewhere, as every kind of storage offers them: what there is, and their bytes."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from modelyard.agent.problems import ArtifactProblem


@dataclass(frozen=True, slots=True)
class Checksum:
    """`algorithm` as hashlib names it, `digest` in hex. `certain` False: it may be something else than a checksum, as
    S3's ETags are when a key of KMS encrypts the object."""

    algorithm: str
    digest: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`path`: where it goes, relative, with `/`. `size` None: not told. `etag`: another one is another content; empty
    where that cannot be told. `ranges`: any part of it can be read."""

    path: str
    size: int | None
    etag: str = ""
    ranges: bool = True
    checksum: Checksum | None = None


class Source(Protocol):
    """One artifact elsewhere. `identity` names it among all others, without credentials. `folder`, once the files are
    known: it is one, even of a single file; else that file is the artifact."""

    identity: str
    folder: bool

    async def files(self) -> tuple[RemoteFile, ...]:
        """In a stable order. Raises `ArtifactProblem`, `TryAgain`."""
        ...

    def read(self, file: RemoteFile, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """Bytes from `start`, up to `end` where it is known. Raises `ArtifactProblem`, `TryAgain`, `Changed`."""
        ...

    async def close(self) -> None: ...


class TryAgain(Exception):
    """It may pass: the connection broke, the store is busy. The reason follows a colon."""


class Changed(Exception):
    """The file is not the one that was listed."""


def check_paths(files: tuple[RemoteFile, ...]) -> None:
    """Names that no folder can hold. Raises `ArtifactProblem`; the caller puts the uri before it."""
    taken = {file.path for file in files}
    if len(taken) < len(files):
        raise ArtifactProblem("it holds the same path twice")
    for file in files:
        parts = file.path.split("/")
        if any(part in ("", ".", "..") or "\0" in part or len(part.encode()) > 255 for part in parts):
            raise ArtifactProblem(f"it holds a path that cannot be a file's here: {file.path[:300]!r}")
        for length in range(1, len(parts)):
            if (above := "/".join(parts[:length])) in taken:
                raise ArtifactProblem(f"it holds {above!r} both as a file and as a folder")
