"""Secrets as files: `<folder>/<name>`, `<name>.yaml`, `.yml` or `.json`, or, as Kubernetes mounts them, one file of any
name in `<folder>/<name>/`. Read at each use, so that a changed one counts from the next fetch on."""

import stat
from pathlib import Path

from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.storage import configs
from modelyard.agent.storage.configs import RemoteConfig

_ENDINGS = ("", ".yaml", ".yml", ".json")
_MOST_BYTES = 1 << 20  # as of a Kubernetes Secret


class Secrets:
    """Its methods block; the files are small."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> RemoteConfig:
        """Raises `ArtifactProblem`."""
        where = f"the secret {name!r}"
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise ArtifactProblem(f"{where} cannot be: a secret's name is a file name")
        try:
            return configs.parse(self._read(name, where), where)
        except OSError as error:
            raise ArtifactProblem(f"{where} cannot be read: {error.strerror} ({error.filename})") from error
        except UnicodeDecodeError:
            raise ArtifactProblem(f"{where} is not text") from None

    def named(self, remote: str) -> RemoteConfig | None:
        """The secret for a remote that no manifest names a secret for: the one whose file is called like it."""
        if not any(self._candidates(remote)):
            return None
        return self.find(remote)

    def _candidates(self, name: str) -> list[Path]:
        if not name or name.startswith(".") or "/" in name:
            return []
        return [path for ending in _ENDINGS if (path := self._folder / f"{name}{ending}").exists()]

    def _read(self, name: str, where: str) -> str:
        found = self._candidates(name)
        if found and found[0].is_dir():
            found = [it for it in sorted(found[0].iterdir()) if not it.name.startswith(".") and it.is_file()]
        if not found:
            raise ArtifactProblem(f"{where} is not there: put it into {self._folder}/{name}.yaml, for its owner only")
        if len(found) > 1:
            raise ArtifactProblem(f"{where} is there {len(found)} times in {self._folder}: keep one file")
        path = found[0]
        status = path.stat()
        if status.st_mode & stat.S_IROTH and self._folder.stat().st_mode & stat.S_IXOTH:
            raise ArtifactProblem(f"{where} can be read by everybody on its machine: chmod 600 {path}")
        if status.st_size > _MOST_BYTES:
            raise ArtifactProblem(f"{where} is too large to be one: {status.st_size} bytes")
        return path.read_text()
