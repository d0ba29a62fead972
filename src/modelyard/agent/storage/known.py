"""Which content a remote artifact had when it was last fetched: unchanged, it need not be fetched again.

    <artifacts>/known/<sha256 of the identity>.json    {"files": as listed, "digest": of the cached content}

Only what has an ETag for each file is remembered: sizes and times alone are no proof.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelyard.agent import trees
from modelyard.agent.storage.remote import RemoteFile


class Known:
    """Its methods block. What cannot be read is not known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, have: Callable[[str], bool]) -> None:
        """Forget what is not in the cache any more."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            if not have(_read(path).get("digest", "/")):
                path.unlink()

    def digest(self, identity: str, files: tuple[RemoteFile, ...]) -> str | None:
        found = _read(self._path(identity))
        return found["digest"] if found and found.get("files") == _listed(files) else None

    def remember(self, identity: str, files: tuple[RemoteFile, ...], digest: str) -> None:
        if all(it.etag for it in files):
            trees.write_file(self._path(identity), json.dumps({"files": _listed(files), "digest": digest}).encode())

    def forget(self, digest: str) -> None:
        for path in self._folder.iterdir():
            if _read(path).get("digest") == digest:
                path.unlink()

    def _path(self, identity: str) -> Path:
        return self._folder / f"{hashlib.sha256(identity.encode('utf-8', 'surrogatepass')).hexdigest()}.json"


def _listed(files: tuple[RemoteFile, ...]) -> list[object]:
    return [asdict(it) for it in files]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("digest"), str) else {}
