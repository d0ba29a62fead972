"""The cache of model files: fetched once, kept by content, gone when no version uses them.

    <agent folder>/artifacts/sha256/<digest>/…   files, read-only
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
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from modelyard.agent import choose, contents, download, trees, unpack
from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.settings import Limits
from modelyard.domain.model import Artifact
from modelyard.domain.names import VersionId

log = logging.getLogger(__name__)

SUPPORTED = "a local path, file://, http:// and https://"


class Artifacts:
    """One per agent; its methods are called from one event loop."""

    def __init__(self, folder: Path, http: httpx.AsyncClient, limits: Limits, *, numbered: bool = True) -> None:
        """`numbered`: whether a numbered folder is picked here; else whoever uses the files does."""
        self._contents = folder / "artifacts" / "sha256"
        self._temporary = folder / "artifacts" / "tmp"
        self._http = http
        self._limits = limits
        self._numbered = numbered
        self._users: dict[str, set[VersionId]] = {}
        self._fetching: dict[str, tuple[asyncio.Task[str], set[VersionId]]] = {}
        self._lock = asyncio.Lock()  # between finding content in the cache and counting its users

    def open(self, in_use: Mapping[VersionId, str]) -> None:
        """Once, at the start: clear away what nobody uses and what was left half done."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._contents.mkdir(parents=True, exist_ok=True)
        for version, key in in_use.items():
            self._users.setdefault(_digest(key), set()).add(version)
        for folder in self._contents.iterdir():
            if folder.name not in self._users:
                trees.remove(folder, self._temporary)

    def path(self, key: str) -> Path:
        return self._contents / key

    def have(self, key: str) -> bool:
        return self.path(key).is_dir()

    async def fetch(self, version: VersionId, artifact: Artifact) -> str:
        """The key of the artifact's files, in use by `version` from now on. Raises `ArtifactProblem`.

        Versions that want the same uri at the same time fetch it once.
        """
        task, waiting = self._fetching.get(artifact.uri) or self._start(artifact.uri)
        waiting.add(version)
        try:
            digest = await asyncio.shield(task)
        finally:
            waiting.discard(version)
            if not waiting and not task.done():
                self._leave(artifact.uri, waiting)
                task.cancel()
        if not self._numbered:
            return digest
        try:
            chosen = choose.folder(await asyncio.to_thread(contents.read, self.path(digest)), artifact.version)
        except LookupError as error:
            raise ArtifactProblem(f"cannot use {artifact.uri}: {error.args[0]}") from error
        except OSError as error:
            raise ArtifactProblem(f"cannot use {artifact.uri}: {_why(error)}") from error
        return digest if chosen is None else f"{digest}/{chosen}"

    async def release(self, version: VersionId) -> None:
        """The version needs its files no more."""
        async with self._lock:
            unused = [digest for digest, users in self._users.items() if users == {version}]
            for users in self._users.values():
                users.discard(version)
            for digest in unused:
                del self._users[digest]
                await asyncio.to_thread(trees.remove, self.path(digest), self._temporary)

    def _start(self, uri: str) -> tuple[asyncio.Task[str], set[VersionId]]:
        waiting: set[VersionId] = set()
        task = asyncio.create_task(self._fetch(uri, waiting), name=f"fetch {uri}")
        started = self._fetching[uri] = task, waiting

        def ended(task: asyncio.Task[str]) -> None:
            self._leave(uri, waiting)
            if not task.cancelled():
                task.exception()  # whoever waits hears it; nobody may be waiting any more

        task.add_done_callback(ended)
        return started

    def _leave(self, uri: str, waiting: set[VersionId]) -> None:
        """Nobody may join this fetch any more."""
        if self._fetching.get(uri, (None, None))[1] is waiting:
            del self._fetching[uri]

    async def _fetch(self, uri: str, waiting: set[VersionId]) -> str:
        work = self._temporary / uuid.uuid4().hex
        called_off = threading.Event()
        try:
            work.mkdir()
            source, name = await self._source(uri, work)
            tree, digest = await asyncio.to_thread(self._prepare, uri, source, name, work, called_off)
            async with self._lock:
                if not self.have(digest):
                    tree.rename(self.path(digest))
                    await asyncio.to_thread(trees.sync_folder, self._contents)
                self._users.setdefault(digest, set()).update(waiting)
                self._leave(uri, waiting)
            return digest
        except trees.NotAFile as error:
            raise ArtifactProblem(f"cannot use {uri}: {error} is neither a file nor a folder") from error
        except unpack.BadArchive as error:
            raise ArtifactProblem(f"cannot use {uri}: the archive {error}") from error
        except OSError as error:
            raise ArtifactProblem(f"cannot fetch {uri}: {_why(error)}") from error
        finally:
            called_off.set()  # a thread that still works on it ends soon
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, work, ignore_errors=True))

    async def _source(self, uri: str, work: Path) -> tuple[Path, str]:
        """Where the files or the archive are on this disk now, and the name that tells which it is."""
        parts = urlsplit(uri)
        match parts.scheme.lower():
            case "" | "file":
                if parts.netloc not in ("", "localhost"):
                    raise ArtifactProblem(f"cannot fetch {uri}: file:// must name a path on this machine")
                path = Path(unquote(parts.path) if parts.scheme else uri)
                if not uri or not path.is_absolute():
                    raise ArtifactProblem(f"cannot fetch {uri!r}: a local path must be absolute, beginning with /")
                if not path.exists():
                    raise ArtifactProblem(f"cannot fetch {uri}: {path} does not exist")
                return path, path.name
            case "http" | "https":
                name = unquote(parts.path).rsplit("/", 1)[-1]
                if name in ("", ".", "..") or "\0" in name:
                    name = "model"
                (work / "download").mkdir()
                target = work / "download" / name
                await download.download(self._http, uri, target, self._limits)
                return target, name
            case scheme:
                raise ArtifactProblem(f"cannot fetch {uri}: {scheme}:// is not supported yet; use {SUPPORTED}")

    def _prepare(self, uri: str, source: Path, name: str, work: Path, called_off: threading.Event) -> tuple[Path, str]:
        """Blocking: copy or unpack, and seal. Returns the tree, ready to be renamed, and its digest."""

        def check() -> None:
            if called_off.is_set():
                raise ArtifactProblem(f"the fetch of {uri} was called off")

        budget = unpack.Budget(self._limits.artifact_bytes, self._limits.artifact_files, check)
        tree = work / "tree"
        tree.mkdir()
        if source.is_file() and unpack.is_archive(name):
            unpack.unpack(source, name, tree, budget)
            tree = _without_wrapping(tree)
        elif source.is_relative_to(work):
            source.rename(tree / name)
        else:
            trees.copy(source, tree, budget.spend)
        digest, count = trees.seal(tree, check)
        if count == 0:
            raise ArtifactProblem(f"cannot use {uri}: it holds no files")
        return tree, digest


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
