"""From a model's folder to a model in memory. Slow: run it in a thread."""

import contextlib
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from modelyard.kit.errors import InvalidInput
from modelyard.runtime import batching, independence
from modelyard.runtime.batching import Limits
from modelyard.runtime.bounds import Bounds
from modelyard.runtime.errors import OutOfMemory
from modelyard.runtime.formats import artifact, content, examples, extras
from modelyard.runtime.formats.artifact import Found
from modelyard.runtime.formats.settings import KEYS, Settings
from modelyard.runtime.independence import Rows
from modelyard.runtime.model import Model
from modelyard.wire.oip.example import Values
from modelyard.wire.oip.loading import NOTHING_ORDERED, LoadOrder

if TYPE_CHECKING:
    from modelyard.runtime.elsewhere import Elsewhere

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """`pickle`: whether artifacts may be unpickled, which runs code of theirs.

    `batch` False: no request shares a call with another, whatever a model's settings say.
    """

    pickle: bool = True
    intra_op_threads: int = 1
    batch: bool = True


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """`batching`: how far requests may share a call; None: not at all. `bounds`: how many run and wait at a time.

    `memory_bytes`, `note`: as in `HeldModel`. `elsewhere`: where it lives in another process.
    `example`: of its inputs, what its page shows; zeros where nothing is said.
    """

    name: str
    version: str
    model: Model
    batching: Limits | None = None
    memory_bytes: int | None = None
    note: str = ""
    bounds: Bounds = Bounds()
    elsewhere: "Elsewhere | None" = None
    example: Values = field(default_factory=dict)


class _BoosterReader(Protocol):
    def __call__(self, path: Path, *, threads: int, settings: Settings) -> Model: ...


def load(folder: Path, options: Options, order: LoadOrder = NOTHING_ORDERED) -> LoadedModel:
    """Raises `NotFound`, `InvalidInput` (the sentence says what is wrong with the artifact) or `OutOfMemory`."""
    found = artifact.find(folder, order)
    try:
        model = _read(found, options)
        limits = _batching(folder.name, model, found.settings) if options.batch else None
        shown = examples.of(model, folder, found, ask=foreign_code(model) is None)
        bounds, note = _bounds(found.settings, model), _untaken(found, order)
        return LoadedModel(folder.name, found.version, model, limits, note=note, bounds=bounds, example=shown)
    except MemoryError:
        raise OutOfMemory(f"{folder.name}: there is not enough memory to load {found.path.name}") from None


def _read(found: Found, options: Options) -> Model:
    # Each library is imported by the first model that needs it: an idle runtime stays small.
    match found.format:
        case content.ONNX:
            from modelyard.runtime.formats import onnx

            return onnx.read(found.path, intra_op_threads=options.intra_op_threads, settings=found.settings)
        case content.SKLEARN:
            return _read_sklearn(found, options)
        case content.MLFLOW:
            _check_code_may_run(found, options, "is served by MLflow, which runs code of the model's")
            return extras.imported(content.MLFLOW, _mlflow_reader)(found.path, found.settings)
        case content.PYTHON:
            _check_code_may_run(found, options, "is Python code")
            from modelyard.runtime.formats.python import model

            folder = found.path if found.path.is_dir() else found.path.parent
            return model.read(folder, found.path, found.settings)
        case _:
            read = extras.imported(found.format, partial(_booster_reader, found.format))
            return read(found.path, threads=options.intra_op_threads, settings=found.settings)


def _read_sklearn(found: Found, options: Options) -> Model:
    from modelyard.runtime.formats import sklearn

    if found.path.suffix == content.SKOPS:
        unpack = extras.imported("skops", _skops_reader)
        return sklearn.SklearnModel(unpack(found.path), found.path.name, found.settings)
    _check_code_may_run(found, options, "is a pickle, which runs code when it is loaded")
    return sklearn.read(found.path, found.settings)


def _check_code_may_run(found: Found, options: Options, what: str) -> None:
    if not options.pickle:
        raise InvalidInput(f"{found.path.name} {what}: not allowed here (--no-pickle)")


def _booster_reader(kind: str) -> _BoosterReader:
    if kind == content.XGBOOST:
        from modelyard.runtime.formats import xgboost

        return xgboost.read
    if kind == content.CATBOOST:
        from modelyard.runtime.formats import catboost

        return catboost.read
    from modelyard.runtime.formats import lightgbm

    return lightgbm.read


def _skops_reader() -> Callable[[Path], Any]:
    from modelyard.runtime.formats import skops_file

    return skops_file.read


def _mlflow_reader() -> Callable[[Path, Settings], Model]:
    from modelyard.runtime.formats import mlflow

    return mlflow.read


def _batching(name: str, model: Model, settings: Settings) -> Limits | None:
    """None where requests must not share a call, or nothing is gained."""
    limits = Limits(wait_seconds=settings.wait_seconds or 0.0)
    if settings.max_batch_size is not None:
        limits = replace(limits, requests=settings.max_batch_size)
    if settings.batch is False or limits.requests < 2 or not batching.has_rows(model.signature):
        return None
    if settings.batch is None:
        if foreign_code(model) is not None:
            return None
        rows = independence.try_out(model)
        if rows is not Rows.INDEPENDENT:
            log.info("requests to %s run one by one: %s; `batch` in its settings decides otherwise", name, rows.value)
            return None
    return limits


def _bounds(settings: Settings, model: Model) -> Bounds:
    """A model may know better than others how many of its calls go side by side: coroutines mostly wait."""
    usual = Bounds()
    concurrency = settings.max_concurrency or getattr(model, "concurrency", None)
    return Bounds(concurrency, settings.max_queue or usual.max_queue)


def prepare(model_format: str) -> None:
    """Import what the format needs, so that its first model is not taken for the memory of a library."""
    with contextlib.suppress(Exception):  # the load will say what is missing
        importlib.import_module(f"modelyard.runtime.formats.{model_format}")


def _untaken(found: Found, order: LoadOrder) -> str:
    """What the manifest says and nobody takes: most likely a typing slip. A class takes, or leaves, its own."""
    unknown = sorted(set(order.parameters) - set(KEYS)) if found.format != content.PYTHON else []
    if not unknown:
        return ""
    which = "the parameter " + unknown[0] if len(unknown) == 1 else "the parameters " + ", ".join(unknown)
    return f"{which} of the manifest {'has' if len(unknown) == 1 else 'have'} no effect on this format"


def foreign_code(model: Model) -> str | None:
    """Code that the model brings and no library of ours, by name; None: it brings none."""
    found: str | None = getattr(model, "foreign", None)
    return found
