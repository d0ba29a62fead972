"""Bring a remote artifact's files here: several parts at a time, going on where the last try ended, then checked."""

import asyncio
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.settings import Limits
from modelyard.agent.storage.partial import Part, Partial
from modelyard.agent.storage.remote import Changed, RemoteFile, Source, TryAgain, check_paths
from modelyard.domain.model import Artifact
from modelyard.kit import backoff
from modelyard.kit.sizes import quantity

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.5, 30.0
_MOST_CHANGES = 3  # a file that changes while it is read is begun again so often


@dataclass(slots=True)
class Tally:
    """How far a download is, in bytes; `total` None: not told."""

    fetched: int = 0
    total: int | None = None


class Transfer:
    """One download. `needed(files, version)`: which of the listed files it is to bring; None: all."""

    def __init__(
        self,
        source: Source,
        partial: Partial,
        artifact: Artifact,
        limits: Limits,
        tally: Tally,
        needed: Callable[[tuple[RemoteFile, ...], int | None], tuple[RemoteFile, ...]] | None = None,
    ) -> None:
        self._needed = needed
        self._source, self._partial, self._limits, self._tally = source, partial, limits, tally
        self._shown, self._version = artifact.shown, artifact.version

    async def files(self) -> tuple[RemoteFile, ...]:
        """What there is, checked against the limits. Raises `ArtifactProblem`."""
        tries = _Tries(self._limits.download_tries, self._shown)
        while True:
            try:
                files = await self._source.files()
            except TryAgain as trouble:
                await tries.failed(trouble)
            except Changed:
                await tries.failed(TryAgain("it changes while it is being read"))
            else:
                check_paths(files)
                files = self._needed(files, self._version) if self._needed else files
                if sum(it.size or 0 for it in files) > self._limits.artifact_bytes:
                    raise ArtifactProblem(f"it is larger than {quantity(self._limits.artifact_bytes)}")
                return files

    async def run(self, files: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
        """All files are in the partial's folder, and whole; returns what they are by now.

        Raises `ArtifactProblem`, and OSError of the disk.
        """
        for _ in range(_MOST_CHANGES):
            try:
                await self._once(files)
                return files
            except Changed:
                log.info("%s changed while it was being downloaded: beginning anew", self._shown)
                await asyncio.to_thread(self._partial.clear)
                files = await self.files()
        raise ArtifactProblem("it changes faster than it can be downloaded: try again when its upload is done")

    async def _once(self, files: tuple[RemoteFile, ...]) -> None:
        await asyncio.to_thread(self._partial.open, files, self._limits.part_bytes)
        parts, known = self._partial.parts, all(it.size is not None for it in files)
        here = sum(_size(it) for it in parts if self._partial.done(it))
        self._tally.fetched, self._tally.total = here, sum(it.size or 0 for it in files) if known else None
        if here:
            log.info("%s: going on from %s of %s", self._shown, quantity(here), quantity(self._tally.total or 0))
        await asyncio.to_thread(_room, self._partial.folder, (self._tally.total or 0) - here)
        await self._fetch(iter([it for it in parts if not self._partial.done(it)]))
        for file in files:
            await self._check(file)

    async def _fetch(self, parts: Iterator[Part]) -> None:
        async def work() -> None:
            for part in parts:  # shared: each takes the next
                await self._part(part)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._limits.parts_at_once):
                    group.create_task(work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _part(self, part: Part) -> None:
        tries = _Tries(self._limits.download_tries, self._shown)
        at = part.start
        while True:
            try:
                async with aclosing(self._source.read(part.file, at, part.end)) as chunks:
                    async for chunk in chunks:
                        self._count(len(chunk))
                        await asyncio.to_thread(_write, self._partial.target(part.file), chunk, at)
                        at += len(chunk)
                        tries.moved()
                if part.end is None or at == part.end:
                    break
                if at > part.end:
                    raise Changed
                raise TryAgain(f"the connection ended {part.end - at} bytes early")
            except TryAgain as trouble:
                if not part.file.ranges:
                    self._count(part.start - at)
                    at = part.start  # this server knows no ranges
                    tries.stuck()
                await tries.failed(trouble)
        if part.end is None:
            await asyncio.to_thread(os.truncate, self._partial.target(part.file), at)
        await asyncio.to_thread(self._partial.mark, part)

    def _count(self, size_bytes: int) -> None:
        self._tally.fetched += size_bytes
        if self._tally.fetched > self._limits.artifact_bytes:
            raise ArtifactProblem(f"it is larger than {quantity(self._limits.artifact_bytes)}")

    async def _check(self, file: RemoteFile) -> None:
        """Against the checksum that the store gives. A wrong file is fetched once more."""
        wanted = file.checksum
        if wanted is None:
            return
        path = self._partial.target(file)
        first = await asyncio.to_thread(_digest, path, wanted.algorithm)
        if first == wanted.digest:
            return
        log.warning("%s: %s does not match its %s: fetching it once more", self._shown, file.path, wanted.algorithm)
        again = [it for it in self._partial.parts if it.file == file]
        for part in again:
            self._tally.fetched -= _size(part)
            await asyncio.to_thread(self._partial.mark, part, False)
        await self._fetch(iter(again))
        second = await asyncio.to_thread(_digest, path, wanted.algorithm)
        if second == wanted.digest:
            return
        if first == second and not wanted.certain:
            log.info("%s: the ETag of %s is not its checksum; it was read twice alike", self._shown, file.path)
            return
        await asyncio.to_thread(self._partial.clear)
        raise ArtifactProblem(
            f"{file.path} does not match its {wanted.algorithm}: the store says {wanted.digest}, what it sends "
            f"has {second}; upload it again"
        )


class _Tries:
    """Gives up after so many failures in a row; bytes that arrive begin a new row."""

    def __init__(self, most: int, shown: str) -> None:
        self._most, self._shown, self._got_on = most, shown, True
        self.moved()

    def moved(self) -> None:
        if self._got_on:
            self._failed, self._waits = 0, backoff.delays(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS)

    def stuck(self) -> None:
        """It begins anew each time: bytes that arrive are no progress."""
        self._got_on = False

    async def failed(self, trouble: TryAgain) -> None:
        self._failed += 1
        if self._failed >= self._most:
            raise ArtifactProblem(f"{trouble} (tried {self._most} times)")
        wait = next(self._waits)
        log.warning("cannot download %s: %s; trying again in %.1f s", self._shown, trouble, wait)
        await asyncio.sleep(wait)


def _size(part: Part) -> int:
    return 0 if part.end is None else part.end - part.start


def _write(path: Path, chunk: bytes, offset: int) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        view = memoryview(chunk)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
    finally:
        os.close(descriptor)


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ArtifactProblem(f"the disk is full: {quantity(needed)} are needed, {quantity(free)} are free at {folder}")
