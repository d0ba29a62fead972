"""The inference server's model repository: one folder per loaded version, `<name>_<version>/`."""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from modelyard.agent import trees
from modelyard.domain.names import VersionId

# Hidden: servers do not take it for a model. In the repository, so that a rename is atomic.
_WORK = ".modelyard"


class ModelFolders:
    """Its methods block: they are called in threads, one at a time per version."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._work = repository / _WORK

    def open(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)

    def found(self) -> tuple[VersionId, ...]:
        names = (VersionId.parse(it.name) for it in self._repository.iterdir() if it.is_dir())
        return tuple(sorted(name for name in names if name is not None))

    def place(self, version: VersionId, make: Callable[[Path], None]) -> None:
        """The version's folder now holds what `make` puts into the folder that it is given: all or nothing."""
        new = self._work / f"{uuid.uuid4().hex}.new"
        try:
            make(new)
            self.remove(version)
            new.rename(self._repository / str(version))
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def remove(self, version: VersionId) -> None:
        trees.remove(self._repository / str(version), self._work)
