"""The cache of model files: fetched once, kept by content, gone when no version uses them.

    <agent folder>/artifacts/sha256/<digest>/…   files, read-only
    <agent folder>/artifacts/partial/…           downloads under way; they outlive the agent (storage/partial.py)
    <agent folder>/artifacts/known/…             what remote artifacts were when last fetched (storage/known.py)
    <agent folder>/artifacts/tmp/                whatever is on its way in or out; emptied at start

A key is a digest, or digest/F where the folder F of the artifact is the model (`choose.py`), such as a numbered one.
Everything is made in tmp and renamed into place, so what is in sha256/ is whole.
"""

import asyncio
import errno
import logging
import shutil
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from modelyard.agent import choose, contents, trees, unpack
from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.settings import Limits
from modelyard.agent.storage import partial, uris
from modelyard.agent.storage.known import Known
from modelyard.agent.storage.needed import needed_files
from modelyard.agent.storage.partial import Partial
from modelyard.agent.storage.remote import Source
from modelyard.agent.storage.sources import Sources
from modelyard.agent.storage.transfer import Tally, Transfer
from modelyard.agent.storage.uris import LocalPath
from modelyard.domain.model import Artifact
from modelyard.domain.names import VersionId

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Fetch:
    """One fetch that is under way, and who waits for it."""

    artifact: Artifact
    waiting: set[VersionId] = field(default_factory=set[VersionId])
    tally: Tally | None = None  # of a download
    partial: Partial | None = None


class Artifacts:
    """One per agent; its methods are called from one event loop."""

    def __init__(self, folder: Path, sources: Sources, limits: Limits, *, numbered: bool = True) -> None:
        """`numbered`: whether a numbered folder is picked here; else whoever uses the files does."""
        self._contents = folder / "artifacts" / "sha256"
        self._temporary = folder / "artifacts" / "tmp"
        self._partials = folder / "artifacts" / "partial"
        self._known = Known(folder / "artifacts" / "known")
        self._sources = sources
        self._limits = limits
        self._numbered = numbered
        self._users: dict[str, set[VersionId]] = {}
        self._fetching: dict[Artifact, tuple[asyncio.Task[str], _Fetch]] = {}
        self._downloading = WeakValueDictionary[str, asyncio.Lock]()  # one download of the same at a time
        self._lock = asyncio.Lock()  # between finding content in the cache and counting its users

    def open(self, in_use: Mapping[VersionId, str], wanted: Iterable[VersionId] = ()) -> None:
        """Once, at the start: clear away what nobody uses and what was left half done. `wanted`: are still to be
        fetched; their downloads go on from where they were."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._contents.mkdir(parents=True, exist_ok=True)
        for version, key in in_use.items():
            self._users.setdefault(_digest(key), set()).add(version)
        for folder in self._contents.iterdir():
            if folder.name not in self._users:
                trees.remove(folder, self._temporary)
        partial.keep_wanted(self._partials, (str(it) for it in wanted))
        self._known.open(self.have)

    def path(self, key: str) -> Path:
        return self._contents / key

    def have(self, key: str) -> bool:
        return self.path(key).is_dir()

    def progress(self, version: VersionId) -> tuple[int, int | None] | None:
        """How many bytes of the version's files have come, and of how many where that is told; None: no download."""
        for _, fetch in self._fetching.values():
            if version in fetch.waiting and fetch.tally is not None:
                return fetch.tally.fetched, fetch.tally.total
        return None

    async def fetch(self, version: VersionId, artifact: Artifact) -> str:
        """The key of the artifact's files, in use by `version` from now on. Raises `ArtifactProblem`.

        Versions that want the same artifact at the same time fetch it once.
        """
        task, fetch = self._fetching.get(artifact) or self._start(artifact)
        fetch.waiting.add(version)
        if fetch.partial is not None:
            fetch.partial.want(map(str, fetch.waiting))
        try:
            digest = await asyncio.shield(task)
        finally:
            fetch.waiting.discard(version)
            if not fetch.waiting and not task.done():
                self._leave(fetch)
                task.cancel()
        if not self._numbered:
            return digest
        try:
            chosen = choose.folder(await asyncio.to_thread(contents.read, self.path(digest)), artifact.version)
        except LookupError as error:
            raise ArtifactProblem(f"cannot use {artifact.shown}: {error.args[0]}") from error
        except OSError as error:
            raise ArtifactProblem(f"cannot use {artifact.shown}: {_why(error)}") from error
        return digest if chosen is None else f"{digest}/{chosen}"

    async def release(self, version: VersionId) -> None:
        """The version needs its files no more."""
        async with self._lock:
            unused = [digest for digest, users in self._users.items() if users == {version}]
            for users in self._users.values():
                users.discard(version)
            for digest in unused:
                del self._users[digest]
                await asyncio.to_thread(self._known.forget, digest)
                await asyncio.to_thread(trees.remove, self.path(digest), self._temporary)
            # Not in a thread: between this and the next download's `want` nothing may come.
            for folder in partial.drop(self._partials, str(version), self._temporary):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _start(self, artifact: Artifact) -> tuple[asyncio.Task[str], _Fetch]:
        fetch = _Fetch(artifact)
        task = asyncio.create_task(self._fetch(fetch), name=f"fetch {artifact.shown}")
        started = self._fetching[artifact] = task, fetch

        def ended(task: asyncio.Task[str]) -> None:
            self._leave(fetch)
            if not task.cancelled():
                task.exception()  # whoever waits hears it; nobody may be waiting any more

        task.add_done_callback(ended)
        return started

    def _leave(self, fetch: _Fetch) -> None:
        """Nobody may join this fetch any more."""
        if self._fetching.get(fetch.artifact, (None, None))[1] is fetch:
            del self._fetching[fetch.artifact]

    async def _fetch(self, fetch: _Fetch) -> str:
        shown = fetch.artifact.shown
        work = self._temporary / uuid.uuid4().hex
        called_off = threading.Event()
        try:
            work.mkdir()
            place = uris.parse(fetch.artifact.uri)
            if isinstance(place, LocalPath):
                if not place.path.exists():
                    raise ArtifactProblem(f"cannot fetch {shown}: {place.path} does not exist")
                return await self._keep(fetch, place.path, work, called_off)
            verb = "download" if isinstance(place, uris.WebFile) else "fetch"
            try:
                source = self._sources.open(place, fetch.artifact)
            except ArtifactProblem as problem:
                raise ArtifactProblem(f"cannot {verb} {shown}: {problem}") from None
            identity = f"{source.identity}\n{fetch.artifact.version if self._numbered else 'all'}"
            async with self._downloading.setdefault(identity, asyncio.Lock()):
                try:
                    return await self._download(fetch, source, identity, work, called_off)
                except ArtifactProblem as problem:
                    raise ArtifactProblem(f"cannot {verb} {shown}: {problem}") from None
                finally:
                    await source.close()
        except trees.NotAFile as error:
            raise ArtifactProblem(f"cannot use {shown}: {error} is neither a file nor a folder") from error
        except unpack.BadArchive as error:
            raise ArtifactProblem(f"cannot use {shown}: the archive {error}") from error
        except OSError as error:
            raise ArtifactProblem(f"cannot fetch {shown}: {_why(error)}") from error
        finally:
            called_off.set()  # a thread that still works on it ends soon
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, work, ignore_errors=True))

    async def _download(
        self, fetch: _Fetch, source: Source, identity: str, work: Path, called_off: threading.Event
    ) -> str:
        """The problems that it raises follow "cannot fetch <uri>: "."""
        fetch.partial, fetch.tally = Partial(self._partials, identity), Tally()
        needed = needed_files if self._numbered else None
        transfer = Transfer(source, fetch.partial, fetch.artifact, self._limits, fetch.tally, needed)
        files = await transfer.files()
        if (known := await asyncio.to_thread(self._known.digest, identity, files)) is not None:
            async with self._lock:
                if self.have(known):
                    log.info("%s is as it was: nothing to download", fetch.artifact.shown)
                    return self._taken(fetch, known)
        fetch.partial.want(map(str, fetch.waiting))
        files = await transfer.run(files)
        here = work / "download"
        await asyncio.to_thread(fetch.partial.take, here)
        digest = await self._keep(fetch, here if source.folder else here / files[0].path, work, called_off)
        await asyncio.to_thread(self._known.remember, identity, files, digest)
        return digest

    async def _keep(self, fetch: _Fetch, source: Path, work: Path, called_off: threading.Event) -> str:
        """From a file, an archive or a folder on this disk to content in the cache, used by all who wait for it."""
        tree, digest = await asyncio.to_thread(self._prepare, fetch.artifact.shown, source, work, called_off)
        async with self._lock:
            if not self.have(digest):
                tree.rename(self.path(digest))
                await asyncio.to_thread(trees.sync_folder, self._contents)
            return self._taken(fetch, digest)

    def _taken(self, fetch: _Fetch, digest: str) -> str:
        self._users.setdefault(digest, set()).update(fetch.waiting)
        self._leave(fetch)
        return digest

    def _prepare(self, shown: str, source: Path, work: Path, called_off: threading.Event) -> tuple[Path, str]:
        """Blocking: copy or unpack, and seal. Returns the tree, ready to be renamed, and its digest."""

        def check() -> None:
            if called_off.is_set():
                raise ArtifactProblem(f"the fetch of {shown} was called off")

        budget = unpack.Budget(self._limits.artifact_bytes, self._limits.artifact_files, check)
        tree = work / "tree"
        if source.is_dir() and source.is_relative_to(work):
            source.rename(tree)
        else:
            tree.mkdir()
            _fill(tree, source, work, budget)
            tree = _without_wrapping(tree) if unpack.is_archive(source.name) and source.is_file() else tree
        digest, count = trees.seal(tree, check)
        if count == 0:
            raise ArtifactProblem(f"cannot use {shown}: it holds no files")
        return tree, digest


def _fill(tree: Path, source: Path, work: Path, budget: unpack.Budget) -> None:
    if source.is_file() and unpack.is_archive(source.name):
        unpack.unpack(source, source.name, tree, budget)
    elif source.is_relative_to(work):
        source.rename(tree / source.name)
    else:
        trees.copy(source, tree, budget.spend)


def _digest(key: str) -> str:
    return key.partition("/")[0]


def _without_wrapping(tree: Path) -> Path:
    """Archives often hold one folder that holds everything. A numbered one is a version, and stays."""
    entries: Iterable[Path] = list(tree.iterdir())
    match entries:
        case [only] if only.is_dir() and not only.name.isdecimal():
            return only
    return tree


def _why(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"not allowed to read or write it{where}"
    return f"{error.strerror or error}{where}"
