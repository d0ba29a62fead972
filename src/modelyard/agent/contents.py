"""What an artifact holds that decides which of its folders is the model. Blocking: to be called in threads."""

import json
from pathlib import Path

from modelyard.agent import trees
from modelyard.agent.choose import MLSERVER, OURS, Contents


def read(root: Path) -> Contents:
    """Raises `OSError`."""
    settings = [it for it in trees.files(root) if it.name == MLSERVER]
    return Contents(
        folders=tuple(it.name for it in root.iterdir() if it.is_dir()),
        ours=(root / OURS).is_file(),
        mlserver={it.parent.relative_to(root).as_posix(): _version(it) for it in settings},
    )


def _version(path: Path) -> str | None:
    """What the file calls its version. Whatever is wrong with the file is said when it is loaded."""
    try:
        return str(json.loads(path.read_bytes())["parameters"]["version"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
