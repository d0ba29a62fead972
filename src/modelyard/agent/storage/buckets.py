"""Objects of a bucket: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage; by obstore."""

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import obstore
import obstore.exceptions as trouble
from obstore.store import AzureStore, GCSStore, S3Store

from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.settings import Limits
from modelyard.agent.storage import aws_files, failures
from modelyard.agent.storage.access import AZURE, GCS, S3, Access, Keys
from modelyard.agent.storage.remote import Changed, Checksum, RemoteFile, TryAgain
from modelyard.agent.storage.uris import Objects

log = logging.getLogger(__name__)

_STORES: Mapping[str, Any] = {S3: S3Store, GCS: GCSStore, AZURE: AzureStore}
_MD5 = re.compile(r"[0-9a-f]{32}")
_CHUNK_BYTES = 256 << 10
_LISTED_AT_ONCE = 1000
# How obstore says that something is wrong.
_REFUSED = (trouble.BaseError, ValueError, TypeError)


class Bucket:
    """The object, or all objects below the prefix, that a uri names."""

    def __init__(self, place: Objects, access: Access, limits: Limits) -> None:
        """Raises `ArtifactProblem`."""
        self._place, self._access, self._limits = place, access, limits
        self._names: dict[str, str] = {}  # where each file is in the bucket
        self.folder = True
        owner = access.endpoint or access.account or ("default" if access.default else "")
        self.identity = "\n".join((access.kind, owner, place.bucket, place.path, "folder" if place.folder else ""))
        try:
            with _no_panic():
                self._store = _open(place.bucket, access, limits)
        except _REFUSED as error:
            raise ArtifactProblem(failures.sentence(error, access, place)) from None

    async def close(self) -> None:
        """obstore keeps nothing open that would have to be closed."""

    async def files(self) -> tuple[RemoteFile, ...]:
        missing: BaseException | None = None
        self.folder = True
        if not self._place.folder:
            try:
                with _no_panic():
                    only = self._one(await obstore.head_async(self._store, self._place.path))
                    self.folder = False
                    return (only,)
            except (FileNotFoundError, *_REFUSED) as error:
                missing = error  # a folder, or, without the right to list, perhaps nothing
        found: list[RemoteFile] = []
        try:
            async for meta in self._below():
                if meta["path"] == self._place.path:
                    continue  # consoles make an empty object for the folder itself
                found.append(self._file(meta, meta["path"].removeprefix(f"{self._place.path}/")))
                if len(found) > self._limits.artifact_files:
                    raise ArtifactProblem(f"it holds more than {self._limits.artifact_files} files")
        except _REFUSED as error:
            raise self._trouble(error) from None
        if not found:
            if missing is not None and not isinstance(missing, FileNotFoundError):
                raise self._trouble(missing)
            raise ArtifactProblem(f"nothing is there: the bucket {self._place.bucket} has no {self._place.path}")
        return _without_markers(found)

    async def read(self, file: RemoteFile, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        options: dict[str, Any] = {"if_match": file.etag} if file.etag else {}
        if file.size:
            options["range"] = (start, file.size if end is None else end)
        try:
            with _no_panic():
                answer = await obstore.get_async(self._store, self._names[file.path], options=options)  # type: ignore[arg-type]
                if answer.meta["size"] != file.size:
                    raise Changed
                async for chunk in answer.stream(min_chunk_size=_CHUNK_BYTES):
                    yield bytes(chunk)
        except (trouble.PreconditionError, FileNotFoundError) as error:
            raise Changed from error
        except _REFUSED as error:
            raise self._trouble(error) from None

    async def _below(self) -> AsyncIterator[Any]:
        with _no_panic():
            async for page in obstore.list(self._store, self._place.path, chunk_size=_LISTED_AT_ONCE):
                for meta in page:
                    yield meta

    def _one(self, meta: Any) -> RemoteFile:
        return self._file(meta, meta["path"].rsplit("/", 1)[-1])

    def _file(self, meta: Any, path: str) -> RemoteFile:
        self._names[path] = meta["path"]
        etag = meta["e_tag"] or ""
        plain = etag.strip('"')
        # Azure's listing leaves out the quotes that its headers have.
        whole = "" if etag.startswith("W/") or not plain else f'"{plain}"'
        likely = self._access.kind != AZURE and _MD5.fullmatch(plain)
        checksum = Checksum("md5", plain, certain=False) if likely else None
        return RemoteFile(path, meta["size"], whole, checksum=checksum)

    def _trouble(self, error: BaseException) -> ArtifactProblem | TryAgain:
        reason = failures.sentence(error, self._access, self._place)
        return TryAgain(reason) if failures.may_pass(error) else ArtifactProblem(reason)


@contextmanager
def _no_panic() -> Iterator[None]:
    """A panic of obstore's Rust code is no `Exception`, and would end the agent."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise ArtifactProblem("the settings of the store cannot be used: check its endpoint and its keys") from None
        raise


def _open(bucket: str, access: Access, limits: Limits) -> Any:
    client: Any = {
        "allow_http": True,  # whether a store is asked in the clear is for its endpoint to say
        "connect_timeout": timedelta(seconds=limits.connect_seconds),
        "read_timeout": timedelta(seconds=limits.read_seconds),
        "timeout": timedelta(hours=12),  # of a whole answer: silence is what ends one
        "user_agent": "modelyard-agent",
    }
    # Trying again is ours: it goes on from where it was, and counts.
    more: dict[str, Any] = {"retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=limits.read_seconds)}}
    settings = dict(access.settings)
    keys = access.keys
    if access.kind == S3 and access.default and (found := aws_files.credentials()) is not None:
        keys, region = found
        if region and "region" not in settings:
            settings["region"] = region
    if keys is not None:
        more["credential_provider"] = _provider(keys)
    return _STORES[access.kind](bucket, config=settings, client_options=client, **more)


def _provider(keys: Keys) -> Any:
    def provide() -> dict[str, Any]:
        return {"access_key_id": keys.id, "secret_access_key": keys.secret, "token": keys.token, "expires_at": None}

    return provide


def _without_markers(files: list[RemoteFile]) -> tuple[RemoteFile, ...]:
    """Without the empty objects that stand for folders: obstore takes the `/` off their names."""
    folders = {"/".join(parts[:n]) for file in files for parts in (file.path.split("/"),) for n in range(1, len(parts))}
    kept = (file for file in files if file.size or file.path not in folders)
    return tuple(sorted(kept, key=lambda file: file.path))
