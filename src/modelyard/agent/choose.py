"""Which files of an artifact are the model: the folder of a wanted version, where folders are numbered."""

from collections.abc import Iterable


def numbered_folder(folders: Iterable[str], wanted: int | None) -> str | None:
    """The wanted number's folder, else the highest; None where the artifact is not numbered.

    Raises `LookupError` when the wanted one is missing from numbered ones, or from an artifact without any.
    """
    numbers = {int(name): name for name in sorted(folders) if name.isascii() and name.isdecimal()}
    if wanted is not None:
        if wanted not in numbers:
            have = ", ".join(str(it) for it in sorted(numbers)) or "no numbered folders"
            raise LookupError(f"it has no version {wanted} (artifactVersion): it has {have}")
        return numbers[wanted]
    return numbers[max(numbers)] if numbers else None
