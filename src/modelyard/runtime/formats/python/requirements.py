"""Whether the Python packages that a model asks for are installed. Nothing is installed here."""

from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from modelyard.kit.errors import InvalidInput

FILE = "requirements.txt"


def check(folder: Path) -> None:
    """Raises `InvalidInput`, with all that is missing in one sentence."""
    path = folder / FILE
    if not path.is_file():
        return
    found = missing(path.read_text(errors="replace").splitlines(), _installed)
    if found:
        raise InvalidInput(
            f"its {FILE} asks for Python packages that are not here: {', '.join(found)}; nothing is installed by "
            f"itself: install them into the Python that this server runs on"
        )


def missing(lines: Iterable[str], installed: Callable[[str], str | None]) -> list[str]:
    """The requirements that are not met, each with the version that is there. Options of pip's are passed over.

    Raises `InvalidInput` for a line that is no requirement.
    """
    found: list[str] = []
    for line in lines:
        text = line.partition(" #")[0].strip()
        if not text or text.startswith(("#", "-")):
            continue
        try:
            wanted = Requirement(text.partition(" --")[0].rstrip("\\").strip())
        except InvalidRequirement:
            raise InvalidInput(f"its {FILE} has a line that is no requirement: '{text}'") from None
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        have = installed(wanted.name)
        if have is None:
            found.append(f"{wanted.name}{wanted.specifier}")
        elif not wanted.specifier.contains(have, prereleases=True):
            found.append(f"{wanted.name}{wanted.specifier} (installed is {have})")
    return found


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
