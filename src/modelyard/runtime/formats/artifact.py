"""Which file of a model's folder is the model, and in which format."""

import json
from dataclasses import dataclass
from pathlib import Path

from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.runtime.formats import batch_settings
from modelyard.runtime.formats.content import FORMATS, SUFFIXES, TO_BE_LOOKED_INTO, format_of

SETTINGS = batch_settings.OURS


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """`version`: the numbered folder it lay in, or what the settings say; "1" when nothing does."""

    path: Path
    format: str
    version: str = "1"


@dataclass(frozen=True, slots=True)
class _Settings:
    format: str | None = None
    file: str | None = None
    artifact_version: int | None = None


def find(folder: Path) -> ArtifactFile:
    """The artifact in `folder` or one level below: of numbered folders the highest, unless the settings name one.

    Raises `NotFound` when the folder does not exist, `InvalidInput` when it is not clear what to load.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no model '{folder.name}' in the repository {folder.parent}")
    settings = _settings(folder / SETTINGS)
    version = str(settings.artifact_version) if settings.artifact_version is not None else None
    if settings.file is not None:
        path = (folder / settings.file).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise InvalidInput(f"{folder.name}: {SETTINGS} names '{settings.file}', which is not a file in its folder")
        return ArtifactFile(path, settings.format or _format_of(path), version or "1")
    here = _candidates(folder, settings.format)
    if here and version is None:
        return _only(folder, here, settings.format, "1")
    numbered = {it.name: it for it in folder.iterdir() if it.is_dir() and it.name.isdecimal()}
    if version is not None and version in numbered:
        return _only(folder, _candidates(numbered[version], settings.format), settings.format, version)
    if version is not None and not here:
        raise InvalidInput(f"{folder.name}: there is no folder for version {version}; found {sorted(numbered)}")
    if here:
        return _only(folder, here, settings.format, version or "1")
    if numbered:
        highest = max(numbered, key=int)
        return _only(folder, _candidates(numbered[highest], settings.format), settings.format, highest)
    below = [found for it in sorted(folder.iterdir()) if it.is_dir() for found in _candidates(it, settings.format)]
    return _only(folder, below, settings.format, "1")


def _candidates(folder: Path, wanted: str | None) -> list[Path]:
    files = sorted(it for it in folder.iterdir() if it.is_file())
    return [it for it in files if (seen := format_of(it)) is not None and wanted in (None, seen)]


def _only(folder: Path, found: list[Path], wanted: str | None, version: str) -> ArtifactFile:
    """The one candidate, or of several the one called `model`."""
    if len(found) > 1:
        found = [it for it in found if it.stem == "model"] or found
    if len(found) > 1:
        names = ", ".join(str(it.relative_to(folder)) for it in found)
        raise InvalidInput(f"{folder.name}: several files could be the model ({names}); name one in {SETTINGS}")
    if not found:
        raise InvalidInput(
            f"{folder.name}: no {wanted or 'model'} file found{_looked_into(folder)}; "
            f"the runtime serves {', '.join(SUFFIXES)} files"
        )
    return ArtifactFile(found[0], wanted or _format_of(found[0]), version)


def _looked_into(folder: Path) -> str:
    """Files that might have been the model, so that nobody has to guess why they are not."""
    files = sorted(it for it in folder.rglob("*") if it.suffix in TO_BE_LOOKED_INTO and it.is_file())
    names = [str(it.relative_to(folder)) for it in files if it.name != SETTINGS and format_of(it) is None]
    return f" ({', '.join(names[:3])}: neither XGBoost's nor LightGBM's by content)" if names else ""


def _format_of(path: Path) -> str:
    found = format_of(path)
    if found is None:
        raise InvalidInput(f"{path.name} is of no known format; the runtime serves {', '.join(SUFFIXES)} files")
    return found


def _settings(path: Path) -> _Settings:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return _Settings()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{path.parent.name}: {SETTINGS} is not JSON: {error}") from None
    types = {"format": str, "file": str, "artifact_version": int}
    if not isinstance(found, dict):
        raise InvalidInput(f"{path.parent.name}: {SETTINGS} must hold a JSON object")
    found = {key: value for key, value in found.items() if key not in batch_settings.KEYS}
    for key, value in found.items():
        if key not in types:
            known = ", ".join((*types, *batch_settings.KEYS))
            raise InvalidInput(f"{path.parent.name}: {SETTINGS} has an unknown key '{key}'; known: {known}")
        if not isinstance(value, types[key]) or isinstance(value, bool):
            raise InvalidInput(f"{path.parent.name}: '{key}' in {SETTINGS} must be of type {types[key].__name__}")
    settings = _Settings(**found)
    if settings.format is not None and settings.format not in FORMATS:
        raise InvalidInput(f"{path.parent.name}: format '{settings.format}' is not served; known: {', '.join(FORMATS)}")
    return settings
