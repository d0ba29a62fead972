"""What a storageUri names: a path on this machine, a file on a web server, or objects in a bucket. Pure.

/models/iris, file:///models/iris                       a path
https://host/iris.zip                                   a file
s3://bucket/models/iris, minio:bucket/models/iris       an object, or all that begin with this prefix
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from modelyard.agent.problems import ArtifactProblem
from modelyard.kit import redact

SUPPORTED = "a local path, file://, http(s)://, s3://, gs:// or az://, or the name of a secret's remote"
# A remote's name as rclone allows it, then `:` or `://`.
_REMOTE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.+@ -]*):(?://)?(.*)", re.DOTALL)
_AZURE_HOST = re.compile(r"([^@/]+)@([a-z0-9]+)\.(?:dfs|blob)\.[^/]+")


@dataclass(frozen=True, slots=True)
class LocalPath:
    path: Path


@dataclass(frozen=True, slots=True)
class WebFile:
    """`name`: of the file, which tells whether it is an archive."""

    url: str
    name: str


@dataclass(frozen=True, slots=True)
class Objects:
    """`remote`: `s3`, or what a secret calls it. `path` without `/` at its ends. `folder`: the uri ended with `/`.
    `account`: of Azure, where the uri names it."""

    remote: str
    bucket: str
    path: str
    folder: bool = False
    account: str = ""


Location: TypeAlias = LocalPath | WebFile | Objects


def parse(uri: str) -> Location:
    """Raises `ArtifactProblem`."""
    scheme = uri.partition(":")[0].lower() if ":" in uri.partition("/")[0] else ""
    match scheme:
        case "" | "file":
            return LocalPath(_path(uri))
        case "http" | "https":
            return _web(uri)
        case _:
            return _objects(uri)


def _path(uri: str) -> Path:
    parts = urlsplit(uri) if uri.lower().startswith("file:") else None
    if parts and parts.netloc not in ("", "localhost"):
        raise ArtifactProblem(f"cannot fetch {uri}: file:// must name a path on this machine")
    path = Path(unquote(parts.path) if parts else uri)
    if not uri or not path.is_absolute() or "\0" in str(path):
        raise ArtifactProblem(f"cannot fetch {uri!r}: a local path must be absolute, beginning with /")
    return path


def _web(uri: str) -> WebFile:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:  # its words may hold a password
        raise ArtifactProblem(f"cannot download {redact.uri(uri)}: its host or port cannot be one") from None
    if not parts.hostname:
        raise ArtifactProblem(f"cannot download {redact.uri(uri)}: it names no host")
    name = unquote(parts.path).rsplit("/", 1)[-1]
    return WebFile(uri, "model" if name in ("", ".", "..") or "\0" in name else name)


def _objects(uri: str) -> Objects:
    shown = redact.uri(uri)
    found = _REMOTE.fullmatch(uri)
    if found is None:
        raise ArtifactProblem(f"cannot fetch {shown}: this is no uri that is understood; use {SUPPORTED}")
    remote, rest = found[1], found[2].strip("/")
    account = ""
    if host := _AZURE_HOST.match(rest):  # abfss://container@account.dfs.core.windows.net/path
        account, rest = host[2], host[1] + rest[host.end() :]
    bucket, _, path = rest.partition("/")
    if not bucket:
        raise ArtifactProblem(f"cannot fetch {shown}: it names no bucket; write {remote}://bucket/path")
    if "@" in bucket or "?" in bucket:
        raise ArtifactProblem(
            f"cannot fetch {shown}: credentials do not belong into a storageUri; put them into a secret (secretName)"
        )
    if not path:
        raise ArtifactProblem(
            f"cannot fetch {shown}: it names a whole bucket; name the model's folder or file, {remote}://{bucket}/path"
        )
    if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
        raise ArtifactProblem(f"cannot fetch {shown}: its path may not hold empty parts, `.` or `..`")
    return Objects(remote, bucket, path, uri.endswith("/"), account)
