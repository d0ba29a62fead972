"""A virtual environment for each peer, made once and kept: peers want other versions of what we use."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

# Models are pickled here and unpickled there.
SAME_LIBRARIES = tuple(f"{name}=={version(name)}" for name in ("scikit-learn", "joblib", "numpy"))


class NotInstalled(Exception):
    """One sentence: why a peer is left out."""


def python(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment with these, made where there is none. Raises `NotInstalled`."""
    wanted = (*requirements, f"python {sys.version_info.major}.{sys.version_info.minor}")
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    folder = _cache() / f"{name}-{digest}"
    found = folder / "bin" / "python"
    if (folder / ".complete").exists():
        return found
    sys.stderr.write(f"bench: installing {name} into {folder} (once)\n")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        (sys.executable, "-m", "venv", folder),
        (found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements),
    ):
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
            shutil.rmtree(folder, ignore_errors=True)
            raise NotInstalled(f"does not install beside us: {reason[:160]}")
    (folder / ".complete").touch()
    return found


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard" / "bench"
