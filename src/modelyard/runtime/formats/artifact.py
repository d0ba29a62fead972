"""Which file of a model's folder is the model, in which format, and what is said of it."""

from dataclasses import dataclass, replace
from pathlib import Path

from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.runtime.formats import settings, settings_files
from modelyard.runtime.formats.content import SUFFIXES, TO_BE_LOOKED_INTO, format_of
from modelyard.runtime.formats.settings import OURS, Settings
from modelyard.wire.oip.loading import NOTHING_ORDERED, LoadOrder


@dataclass(frozen=True, slots=True)
class Found:
    """`version`: the numbered folder it lay in, or what the settings say; "1" when nothing does."""

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
    try:
        manifest = settings.of_manifest(order.parameters)
        found = _find(folder, manifest, manifest.over(settings_files.read(folder)), order.artifact_version)
    except InvalidInput as error:
        raise InvalidInput(f"{folder.name}: {error}") from None
    own = found.settings.version
    # Who orders calls the version by a name of their own.
    return replace(found, version=own) if own is not None and order == NOTHING_ORDERED else found


def _find(folder: Path, manifest: Settings, said: Settings, ordered: int | None) -> Found:
    """`said`: of the manifest and of `folder`. `ordered`: the numbered folder that the manifest asks for."""
    if said.implementation is not None:
        raise InvalidInput(f"its implementation {said.implementation} is not one that this server runs")
    if said.file is not None:
        return _named(folder, said)
    here = _candidates(folder, said.format)
    numbered = {int(it.name): it for it in folder.iterdir() if it.is_dir() and _is_number(it.name)}
    wanted = ordered if ordered is not None and numbered else said.artifact_version
    if wanted is not None and (wanted in numbered or wanted == ordered or not here):
        if wanted not in numbered:
            raise InvalidInput(f"there is no folder for version {wanted}; found {sorted(numbered)}")
        return _inside(folder, numbered[wanted], manifest, str(wanted))
    if here:
        return _only(folder, here, said, "1" if wanted is None else str(wanted))
    if numbered:
        return _inside(folder, numbered[max(numbered)], manifest, str(max(numbered)))
    below = {it: _candidates(it, said.format) for it in sorted(folder.iterdir()) if it.is_dir()}
    holding = [it for it, found in below.items() if found or (it / settings.MLSERVER).is_file()]
    if len(holding) == 1:
        return _inside(folder, holding[0], manifest, "1")
    return _only(folder, [it for found in below.values() for it in found], said, "1")


def _inside(root: Path, folder: Path, manifest: Settings, version: str) -> Found:
    """A folder one level down, whose own settings count before those above it."""
    said = manifest.over(settings_files.read(folder, root))
    if said.file is not None:
        return replace(_named(folder, said), version=version)
    return _only(root, _candidates(folder, said.format), said, version)


def _named(folder: Path, said: Settings) -> Found:
    """The file, or what is in the folder, that the settings name."""
    path = (folder / str(said.file)).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        raise InvalidInput(f"its settings name '{said.file}', which is not a file in its folder")
    version = "1" if said.artifact_version is None else str(said.artifact_version)
    if path.is_dir():
        return _only(path, _candidates(path, said.format), said, version)
    return Found(path, said.format or _format_of(path), version, said)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _candidates(folder: Path, wanted: str | None) -> list[Path]:
    files = sorted(it for it in folder.iterdir() if it.is_file())
    return [it for it in files if (seen := format_of(it)) is not None and wanted in (None, seen)]


def _only(folder: Path, found: list[Path], said: Settings, version: str) -> Found:
    """The one candidate, or of several the one called `model`."""
    wanted = said.format
    if len(found) > 1:
        found = [it for it in found if it.stem == "model"] or found
    if len(found) > 1:
        names = ", ".join(str(it.relative_to(folder)) for it in found)
        raise InvalidInput(f"several files could be the model ({names}); name one in {OURS}")
    if not found:
        raise InvalidInput(
            f"no {wanted or 'model'} file found{_looked_into(folder)}; the runtime serves {', '.join(SUFFIXES)} files"
        )
    return Found(found[0], wanted or _format_of(found[0]), version, said)


def _looked_into(folder: Path) -> str:
    """Files that might have been the model, so that nobody has to guess why they are not."""
    files = sorted(it for it in folder.rglob("*") if it.suffix in TO_BE_LOOKED_INTO and it.is_file())
    names = [str(it.relative_to(folder)) for it in files if it.name != OURS and format_of(it) is None]
    return f" ({', '.join(names[:3])}: neither XGBoost's nor LightGBM's by content)" if names else ""


def _format_of(path: Path) -> str:
    found = format_of(path)
    if found is None:
        raise InvalidInput(f"{path.name} is of no known format; the runtime serves {', '.join(SUFFIXES)} files")
    return found
