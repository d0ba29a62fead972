"""What a compiled model depends on, as one name."""

import hashlib
import importlib.metadata
import json
from dataclasses import asdict
from pathlib import Path

from modelyard.runtime.acceleration.check import Limits
from modelyard.runtime.formats.artifact import Found

# Raised whenever what is compiled, drawn or checked changes.
_COMPILER = 1
_LIBRARIES = (
    "numpy", "onnx", "onnxruntime", "skl2onnx", "scikit-learn", "xgboost", "xgboost-cpu", "lightgbm", "modelyard",
)  # fmt: skip


def of(found: Found, limits: Limits, rows: int) -> str:
    """Slow: reads the artifact. Raises `OSError`."""
    parts = {
        "compiler": _COMPILER,
        "artifact": _digest(found.path),
        "format": found.format,
        "suffix": found.path.suffix,
        "limits": asdict(limits),
        "rows": rows,
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for it in sorted(path.rglob("*")):
        if it.is_file():
            whole.update(f"{it.relative_to(path)}\0{_digest(it)}\0".encode())
    return whole.hexdigest()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
