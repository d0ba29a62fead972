"""What is assigned to this replica, on disk: one small file per version, replaced atomically.

    <agent folder>/state/<name>_<version>.json
    <agent folder>/state/.modelyard-agent        the folder was ours: without it, it is new or was emptied

A file is {"artifact": key or null, "model_version": base64 of the wire message, "measured_bytes": number or null,
"check": sha256 of these}.
"""

import base64
import binascii
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from modelyard.agent import trees
from modelyard.agent.messages import Kept
from modelyard.domain.names import VersionId
from modelyard.wire import agents

log = logging.getLogger(__name__)

_MARKER = ".modelyard-agent"
_ENDING = ".json"


@dataclass(frozen=True, slots=True)
class Found:
    """`damaged`: a file could not be read and was set aside. `fresh`: there was no state folder of ours."""

    kept: tuple[Kept, ...]
    damaged: bool
    fresh: bool


class Store:
    """Its methods block: they are called in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "state"

    def open(self) -> Found:
        fresh = not (self._folder / _MARKER).exists()
        self._folder.mkdir(parents=True, exist_ok=True)
        kept: list[Kept] = []
        damaged = False
        for path in sorted(self._folder.iterdir()):
            if path.suffix == ".new":
                path.unlink()
            elif path.suffix == _ENDING:
                try:
                    kept.append(_read(path))
                except (ValueError, KeyError, TypeError, OSError) as error:
                    damaged = True
                    aside = path.with_suffix(".damaged")
                    path.replace(aside)
                    log.warning("the state file %s is damaged (%s): set aside as %s", path, error, aside.name)
        if fresh:
            trees.write_file(self._folder / _MARKER, b"")
        return Found(tuple(kept), damaged, fresh)

    def save(self, it: Kept) -> None:
        encoded = base64.b64encode(agents.encode_model_version(it.model_version).SerializeToString()).decode()
        content = {
            "artifact": it.artifact,
            "model_version": encoded,
            "measured_bytes": it.measured_bytes,
            "check": _check(it.artifact, encoded, it.measured_bytes),
        }
        trees.write_file(self._path(it.model_version.id), json.dumps(content).encode())

    def forget(self, version: VersionId) -> None:
        self._path(version).unlink(missing_ok=True)
        trees.sync_folder(self._folder)

    def _path(self, version: VersionId) -> Path:
        return self._folder / f"{version}{_ENDING}"


def _read(path: Path) -> Kept:
    content = json.loads(path.read_bytes())
    artifact, encoded = content["artifact"], content["model_version"]
    measured: int | None = content.get("measured_bytes")  # older agents did not measure
    if content["check"] != _check(artifact, encoded, measured):
        raise ValueError("its checksum is wrong")
    try:
        message = agents.ModelVersionMessage.FromString(base64.b64decode(encoded, validate=True))
    except binascii.Error as error:
        raise ValueError(str(error)) from error
    model_version = agents.decode_model_version(message)
    if str(model_version.id) != path.stem or VersionId.parse(path.stem) is None:
        raise ValueError(f"it holds {model_version.id}")
    return Kept(model_version, artifact, measured)


def _check(artifact: str | None, encoded: str, measured: int | None) -> str:
    size = "" if measured is None else f"\n{measured}"
    return hashlib.sha256(f"{artifact}\n{encoded}{size}".encode()).hexdigest()
