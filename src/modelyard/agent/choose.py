"""Which folder of an artifact is the model: that of a wanted version, by settings of MLServer's or by its number. Pure.

modelyard-model.json at its top     the whole: the runtime goes by it, and by the wanted version
model-settings.json once in it      its folder, whatever the version
several                             the one of the wanted version, else of the highest
none, but numbered folders          the wanted number, else the highest
none of these                       the whole
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

OURS = "modelyard-model.json"
MLSERVER = "model-settings.json"
WHOLE = "."


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in an artifact. `folders`: at its top. `ours`: whether settings of ours lie there. `mlserver`: by the
    folder (WHOLE, a/b) of each MLServer settings file, the version that it names."""

    folders: tuple[str, ...] = ()
    ours: bool = False
    mlserver: Mapping[str, str | None] = field(default_factory=dict)


def folder(contents: Contents, wanted: int | None) -> str | None:
    """None: the whole artifact. Raises `LookupError` when the wanted version is missing."""
    settings = contents.mlserver
    if contents.ours:
        return None
    if len(settings) == 1:
        (only,) = settings
        return None if only == WHOLE else only
    if settings:
        versions = {number: it for it in sorted(settings) if (number := _version(it, settings[it])) is not None}
        if wanted is not None or versions:
            return _wanted(versions, wanted)
        return None
    numbers = {int(name): name for name in sorted(contents.folders) if _is_number(name)}
    return _wanted(numbers, wanted) if numbers or wanted is not None else None


def _wanted(versions: Mapping[int, str], wanted: int | None) -> str | None:
    if wanted is not None and wanted not in versions:
        have = ", ".join(str(it) for it in sorted(versions)) or "no numbered folders"
        raise LookupError(f"it has no version {wanted} (artifactVersion): it has {have}")
    chosen = versions[max(versions) if wanted is None else wanted]
    return None if chosen == WHOLE else chosen


def _version(folder: str, named: str | None) -> int | None:
    """What the settings say, else the number of their folder."""
    name = named if named is not None else folder.rpartition("/")[2]
    return int(name) if _is_number(name) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
