"""Which file of a model's folder is the model, in which format, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.runtime.formats import mlflow_folder, settings, settings_files
from modelyard.runtime.formats.content import (
    CODE,
    FORMATS,
    MLFLOW,
    MLMODEL,
    PYTHON,
    SUFFIXES,
    TO_BE_LOOKED_INTO,
    format_of,
)
from modelyard.runtime.formats.rows import INPUT
from modelyard.runtime.formats.settings import OURS, Settings
from modelyard.wire.oip.loading import NOTHING_ORDERED, LoadOrder

SERVED = f"{', '.join(SUFFIXES)} files, MLflow folders and Python classes"

# Python files that are never the model.
NO_MODELS = frozenset({"__init__.py", "setup.py", "conftest.py"})


@dataclass(frozen=True, slots=True)
class Found:
    """`path`: a file, or the folder where that is the model. `version`: the numbered folder it lay in, or what the
    settings say; "1" when nothing does."""

    path: Path
    format: str
    version: str
    settings: Settings


def find(folder: Path, order: LoadOrder = NOTHING_ORDERED) -> Found:
    """The artifact in `folder` or one level below: of numbered folders the highest, unless one is told.

    Raises `NotFound` when the folder does not exist, `InvalidInput` when it is not clear what to load.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no model '{folder.name}' in the repository {folder.parent}")
    search = _Search(folder, order)
    try:
        found = search.find()
    except InvalidInput as error:
        raise InvalidInput(f"{folder.name}: {error}") from None
    own = found.settings.version
    # Who orders calls the version by a name of their own.
    return replace(found, version=own) if own is not None and order == NOTHING_ORDERED else found


class _Search:
    """One search of the model's folder `root`."""

    def __init__(self, root: Path, order: LoadOrder) -> None:
        self._root = root
        self._order = order
        self._preferred = frozenset(order.requirements) & frozenset(FORMATS)

    def find(self) -> Found:
        root, said = self._root, self._said()
        if said.file is not None and said.implementation is None:
            return self._named(root, said)
        here = self._candidates(root, said)
        numbered = {int(it.name): it for it in root.iterdir() if it.is_dir() and _is_number(it.name)}
        ordered = self._order.artifact_version
        wanted = ordered if ordered is not None and numbered else said.artifact_version
        if wanted is not None and (wanted in numbered or wanted == ordered or not here):
            if wanted not in numbered:
                raise InvalidInput(f"there is no folder for version {wanted}; found {sorted(numbered)}")
            return self._inside(numbered[wanted], str(wanted))
        if here:
            return self._only(here, said, "1" if wanted is None else str(wanted))
        if numbered:
            return self._inside(numbered[max(numbered)], str(max(numbered)))
        return self._below(said)

    def _said(self, *folders: Path) -> Settings:
        return settings.of_manifest(self._order.parameters).over(settings_files.read(*folders, self._root))

    def _below(self, said: Settings) -> Found:
        """Nothing is at the top, and nothing is numbered."""
        below = {it: self._candidates(it, said) for it in sorted(self._root.iterdir()) if it.is_dir()}
        holding = [it for it, found in below.items() if found or (it / settings.MLSERVER).is_file()]
        if len(holding) == 1:
            return self._inside(holding[0], "1")
        found = [it for candidates in below.values() for it in candidates]
        if not found and said.format in (None, MLFLOW):
            # MLflow's runs have them in artifacts/model.
            found = [(it.parent, MLFLOW) for it in sorted(self._root.rglob(MLMODEL)) if it.is_file()]
        return self._only(found, said, "1")

    def _inside(self, folder: Path, version: str) -> Found:
        """A folder one level down, whose own settings count before those above it."""
        said = self._said(folder)
        if said.file is not None and said.implementation is None:
            return replace(self._named(folder, said), version=version)
        return self._only(self._candidates(folder, said), said, version)

    def _named(self, folder: Path, said: Settings) -> Found:
        """The file, or what is in the folder, that the settings name."""
        path = (folder / str(said.file)).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.exists():
            raise InvalidInput(f"its settings name '{said.file}', which is not a file in its folder")
        version = "1" if said.artifact_version is None else str(said.artifact_version)
        if path.is_dir():
            return self._only(self._candidates(path, said), said, version)
        return Found(path, said.format or (PYTHON if path.suffix == CODE else _format_of(path)), version, said)

    def _candidates(self, folder: Path, said: Settings) -> list[tuple[Path, str]]:
        """What in the folder could be the model, with its format: of several kinds those that are required."""
        wanted = said.format
        if said.implementation is not None:
            return [(folder, PYTHON)]
        if wanted in (None, MLFLOW) and (folder / MLMODEL).is_file():
            return [(folder, MLFLOW)]
        files = sorted(it for it in folder.iterdir() if it.is_file())
        found = [(it, seen) for it in files if (seen := format_of(it)) is not None and wanted in (None, seen)]
        code = [(it, PYTHON) for it in files if it.suffix == CODE and it.name not in NO_MODELS]
        if code and (wanted == PYTHON or (wanted is None and PYTHON in self._preferred)):
            return code
        preferred = [it for it in found if it[1] in self._preferred]
        return preferred or found or (code if wanted is None else [])

    def _only(self, found: Sequence[tuple[Path, str]], said: Settings, version: str) -> Found:
        """The one candidate, or of several the one called `model`."""
        if len(found) > 1:
            found = [it for it in found if it[0].stem == "model"] or found
        if len(found) > 1:
            names = ", ".join(str(path.relative_to(self._root)) for path, _ in found)
            raise InvalidInput(f"several files could be the model ({names}); name one in {OURS}")
        if not found:
            required = ", ".join(sorted(self._preferred))
            though = f", though {required} is required" if required else ""
            what = f"no {said.format or 'model'} file found{though}{_looked_into(self._root)}"
            raise InvalidInput(f"{what}; the runtime serves {SERVED}")
        (path, seen), *_ = found
        return _mlflow(path, said, version) if seen == MLFLOW else Found(path, said.format or seen, version, said)


def _mlflow(folder: Path, said: Settings, version: str) -> Found:
    """The file in an MLflow folder that needs no MLflow, else the folder; its signature says what the inputs are."""
    model = mlflow_folder.parse((folder / MLMODEL).read_text(errors="replace"))
    inputs = tuple(it.said if it.said.name else replace(it.said, name=INPUT) for it in model.fields or ())
    said = said.over(Settings(inputs=inputs))
    if model.native is None:
        return Found(folder, MLFLOW, version, said)
    kind, file = model.native
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise InvalidInput(f"{MLMODEL} names '{file}', which is not a file in its folder")
    return Found(path, kind, version, replace(said, format=kind))


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _looked_into(folder: Path) -> str:
    """Files that might have been the model, so that nobody has to guess why they are not."""
    files = sorted(it for it in folder.rglob("*") if it.suffix in TO_BE_LOOKED_INTO and it.is_file())
    names = [str(it.relative_to(folder)) for it in files if it.name != OURS and format_of(it) is None]
    return f" ({', '.join(names[:3])}: neither XGBoost's nor LightGBM's by content)" if names else ""


def _format_of(path: Path) -> str:
    found = format_of(path)
    if found is None:
        raise InvalidInput(f"{path.name} is of no known format; the runtime serves {SERVED}")
    return found
