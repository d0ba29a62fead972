"""From a model's folder to a model in memory. Slow: run it in a thread."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import OutOfMemory
from modelyard.runtime.formats import artifact, content, extras
from modelyard.runtime.model import Model


@dataclass(frozen=True, slots=True)
class Options:
    """`pickle`: whether artifacts may be unpickled, which runs code of theirs."""

    pickle: bool = True
    intra_op_threads: int = 1


@dataclass(frozen=True, slots=True)
class LoadedModel:
    name: str
    version: str
    model: Model


class _BoosterReader(Protocol):
    def __call__(self, path: Path, *, threads: int) -> Model: ...


def load(folder: Path, options: Options) -> LoadedModel:
    """Raises `NotFound`, `InvalidInput` (the sentence says what is wrong with the artifact) or `OutOfMemory`."""
    found = artifact.find(folder)
    try:
        return LoadedModel(folder.name, found.version, _read(found, options))
    except MemoryError:
        raise OutOfMemory(f"{folder.name}: there is not enough memory to load {found.path.name}") from None


def _read(found: artifact.ArtifactFile, options: Options) -> Model:
    # Each library is imported by the first model that needs it: an idle runtime stays small.
    if found.format == content.ONNX:
        from modelyard.runtime.formats import onnx

        return onnx.read(found.path, intra_op_threads=options.intra_op_threads)
    if found.format in extras.FORMATS:
        read = extras.imported(found.format, partial(_booster_reader, found.format))
        return read(found.path, threads=options.intra_op_threads)
    from modelyard.runtime.formats import sklearn

    if found.path.suffix == content.SKOPS:
        unpack = extras.imported("skops", _skops_reader)
        return sklearn.SklearnModel(unpack(found.path), found.path.name)
    if not options.pickle:
        raise InvalidInput(
            f"{found.path.name} is a pickle, which runs code when it is loaded: not allowed here (--no-pickle)"
        )
    return sklearn.read(found.path)


def _booster_reader(kind: str) -> _BoosterReader:
    if kind == content.XGBOOST:
        from modelyard.runtime.formats import xgboost

        return xgboost.read
    from modelyard.runtime.formats import lightgbm

    return lightgbm.read


def _skops_reader() -> Callable[[Path], Any]:
    from modelyard.runtime.formats import skops_file

    return skops_file.read
