"""Runs inside MLServer: tells it of the models in a repository that our agent keeps, one folder for each.

MLServer's own class reads every settings file again for each load and each look at the index, so that loads grow
slower with the number of models, and all requests wait meanwhile. Nothing of Modelyard can be imported here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mlserver.errors import ModelNotFound
from mlserver.repository import DEFAULT_MODEL_SETTINGS_FILENAME, ModelRepository
from mlserver.repository.load import load_model_settings
from mlserver.settings import ModelSettings


class FolderRepository(ModelRepository):
    def __init__(self, root: str) -> None:
        self._root = Path(root).absolute()
        self._read: dict[Path, tuple[tuple[int, int], ModelSettings]] = {}

    async def list(self) -> Sequence[ModelSettings]:
        """Of all models, as their files say now; a file that has not changed is not read again."""
        before, self._read = self._read, {}
        for path in self._paths():
            try:
                found = path.stat()
                state = (found.st_ino, found.st_mtime_ns)
                known = before.get(path)
                self._read[path] = known if known and known[0] == state else (state, load_model_settings(str(path)))
            except (OSError, ValueError):  # it went away, or is none of ours
                continue
        return [settings for _, settings in self._read.values()]

    async def find(self, name: str) -> Sequence[ModelSettings]:
        """Freshly read: what is loaded belongs to the model."""
        path = self._root / Path(name).name / DEFAULT_MODEL_SETTINGS_FILENAME
        if not path.is_file():
            raise ModelNotFound(name)
        return [load_model_settings(str(path))]

    def _paths(self) -> Iterator[Path]:
        for folder in self._root.iterdir():
            path = folder / DEFAULT_MODEL_SETTINGS_FILENAME
            if not folder.name.startswith(".") and path.is_file():
                yield path
