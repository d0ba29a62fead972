"""What a model's manifest and its own files say of how to serve it, as one frozen `Settings`. Pure.

    parameters of the manifest    first    the keys of KEYS; what is none of them is the model's own parameter
    modelyard-model.json          then     the same keys, and those of OUR_KEYS
    model-settings.json           last     MLServer's: THEIR_KEYS, and THEIR_PARAMETERS below `parameters`

What one says nothing of is the next one's to say. A further setting is a field of `Settings` and a row of a table.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.content import FORMATS, MLSERVER_PACKAGES
from modelyard.wire.oip import content_types
from modelyard.wire.oip.content_types import Defaults
from modelyard.wire.oip.nouns import DTYPES, TensorMetadata

OURS = "modelyard-model.json"
MLSERVER = "model-settings.json"
MANIFEST = "the manifest's parameters"

MOST_WAIT_SECONDS = 60.0

OPTIMIZE = ("none", "onnx")


@dataclass(frozen=True, slots=True)
class TensorSettings:
    """What is said of one input or output; None: nothing."""

    name: str
    datatype: str | None = None
    shape: tuple[int, ...] | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """None, or empty: nothing said.

    `file`: the artifact, or the folder that it is in, below the model's folder. `artifact_version`: which of numbered
    folders. `version`: what the model calls its version. `implementation`: a Python class, `module.Class`.
    `parameters`: the model's own. `max_batch_size`: requests in one call. `max_concurrency`: calls at the same time.
    `max_queue`: requests that wait for their call. `worker`: whether it has a process of its own.
    `optimize`: one of OPTIMIZE. `optimize_tolerance`: what a compiled model's numbers may be off by, relative to the
    largest; `optimize_label_mismatch`: the share of its labels that may differ.
    """

    format: str | None = None
    implementation: str | None = None
    file: str | None = None
    artifact_version: int | None = None
    version: str | None = None
    content_type: str | None = None
    inputs: tuple[TensorSettings, ...] = ()
    outputs: tuple[TensorSettings, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    batch: bool | None = None
    max_batch_size: int | None = None
    wait_seconds: float | None = None
    max_concurrency: int | None = None
    max_queue: int | None = None
    worker: bool | None = None
    optimize: str | None = None
    optimize_tolerance: float | None = None
    optimize_label_mismatch: float | None = None

    def over(self, other: "Settings") -> "Settings":
        """What is said here, else what `other` says; the model's own parameters of both."""
        found = {it.name: getattr(self, it.name) for it in fields(self)}
        found |= {name: getattr(other, name) for name, value in found.items() if value in (None, (), {})}
        if self.format is not None or self.implementation is not None:
            # One word about what the model is: one's format does not go with another's class.
            found |= {"format": self.format, "implementation": self.implementation}
        found["parameters"] = {**other.parameters, **self.parameters}
        return Settings(**found)

    @property
    def content_types(self) -> Defaults:
        """What content types the requests have that say none."""
        of_inputs = {it.name: it.content_type for it in self.inputs if it.content_type is not None}
        return Defaults(self.content_type or "", of_inputs) if self.content_type or of_inputs else content_types.NONE

    def described(self, matrix: TensorMetadata, columns: Collection[str]) -> tuple[TensorMetadata, ...]:
        """The input of a model that takes a matrix, in the settings' words: one tensor, or one for each column."""
        if len(self.inputs) == 1:
            said = self.inputs[0]
            shape = said.shape if said.shape is not None and _fits(said.shape, matrix.shape) else matrix.shape
            return (TensorMetadata(said.name, said.datatype or matrix.datatype, shape),)
        if not columns or {it.name for it in self.inputs} != set(columns):
            return (matrix,)
        return tuple(TensorMetadata(it.name, it.datatype or matrix.datatype, (-1, 1)) for it in self.inputs)


def _fits(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return len(shape) == len(other) and all(-1 in (a, b) or a == b for a, b in zip(shape, other, strict=True))


NOTHING = Settings()


@dataclass(frozen=True, slots=True)
class Key:
    """The field that it fills, how its value is taken (`ValueError` where it cannot be), and what it must be."""

    field: str
    take: Callable[[Any], Any]
    wants: str
    is_text: bool = False


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def a_name(value: Any) -> str:
    """Text, or a whole number as text."""
    return str(whole_number(value)) if type(value) is int else text(value)


def true_or_false(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def whole_number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value


def positive_number(value: Any) -> int:
    if whole_number(value) < 1:
        raise ValueError
    return int(value)


def wait_in(unit: float) -> Callable[[Any], float]:
    """Seconds, up to MOST_WAIT_SECONDS, of a number of `unit` seconds."""

    def wait(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value * unit <= MOST_WAIT_SECONDS:
            raise ValueError
        return value * unit

    return wait


def share(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError
    return value


def one_of(values: Collection[str]) -> Callable[[Any], str]:
    def one(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValueError
        return value

    return one


def an_object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError
    return value


def tensors(value: Any) -> tuple[TensorSettings, ...]:
    """`[{name, datatype, shape, parameters: {content_type}}]`, everything but the name optional."""
    if not isinstance(value, list):
        raise ValueError
    return tuple(_tensor(an_object(it)) for it in value)


def _tensor(value: Mapping[str, Any]) -> TensorSettings:
    datatype, shape = value.get("datatype"), value.get("shape")
    if datatype is not None:
        one_of(DTYPES)(datatype)
    if shape is not None and not (isinstance(shape, list) and all(type(it) is int and it >= -1 for it in shape)):
        raise ValueError
    content_type = an_object(value.get("parameters") or {}).get("content_type")
    if content_type is not None:
        text(content_type)
    return TensorSettings(text(value.get("name")), datatype, None if shape is None else tuple(shape), content_type)


_CLASS = "a class, as module.Class"
_PATH = "a path below the model's folder"
_REQUESTS = "a number of requests"
_TIME = "a number from 0 to {:.0f}"
_TENSORS = "a list of objects with a 'name' and, where they matter, 'datatype', 'shape' and 'parameters' as V2 has them"

KEYS: Mapping[str, Key] = {
    "format": Key("format", one_of(FORMATS), f"one of {', '.join(FORMATS)}", is_text=True),
    "implementation": Key("implementation", text, _CLASS, is_text=True),
    "content_type": Key("content_type", text, "a content type such as np, pd or str", is_text=True),
    "batch": Key("batch", true_or_false, "true or false"),
    "max_batch_size": Key("max_batch_size", whole_number, _REQUESTS),
    "max_batch_time_ms": Key("wait_seconds", wait_in(1e-3), _TIME.format(MOST_WAIT_SECONDS * 1000)),
    "max_concurrency": Key("max_concurrency", positive_number, "a number of calls, 1 or more"),
    "max_queue": Key("max_queue", positive_number, "a number of requests, 1 or more"),
    "worker": Key("worker", true_or_false, "true or false"),
    "optimize": Key("optimize", one_of(OPTIMIZE), f"one of {', '.join(OPTIMIZE)}", is_text=True),
    "optimize_tolerance": Key("optimize_tolerance", share, "a number from 0 to 1"),
    "optimize_label_mismatch": Key("optimize_label_mismatch", share, "a number from 0 to 1"),
}
OUR_KEYS: Mapping[str, Key] = {
    **KEYS,
    "file": Key("file", text, _PATH),
    "artifact_version": Key("artifact_version", whole_number, "a whole number"),
    "inputs": Key("inputs", tensors, _TENSORS),
    "outputs": Key("outputs", tensors, _TENSORS),
    "parameters": Key("parameters", an_object, "an object"),
}
# Whatever else MLServer's files hold is MLServer's.
THEIR_KEYS: Mapping[str, Key] = {
    "implementation": Key("implementation", text, _CLASS),
    "inputs": Key("inputs", tensors, _TENSORS),
    "outputs": Key("outputs", tensors, _TENSORS),
    "max_batch_size": Key("max_batch_size", whole_number, _REQUESTS),
    "max_batch_time": Key("wait_seconds", wait_in(1.0), _TIME.format(MOST_WAIT_SECONDS)),
    "parameters": Key("parameters", an_object, "an object"),
}
THEIR_PARAMETERS: Mapping[str, Key] = {
    "uri": Key("file", text, _PATH),
    "version": Key("version", a_name, "text"),
    "content_type": KEYS["content_type"],
    "extra": Key("parameters", an_object, "an object"),
}


def of_manifest(parameters: Mapping[str, str]) -> Settings:
    """Values are text there: `"5"` is a number where one is wanted. Raises `InvalidInput`."""
    mine = {name: value for name, value in parameters.items() if name in KEYS}
    own = {name: value for name, value in parameters.items() if name not in KEYS}
    plain = {name: value if KEYS[name].is_text else _plain(value) for name, value in mine.items()}
    return Settings(**_taken(plain, KEYS, MANIFEST), parameters=own)


def of_ours(found: Mapping[str, Any]) -> Settings:
    """`modelyard-model.json`. Raises `InvalidInput`, also for a key that it does not know."""
    for key in found:
        if key not in OUR_KEYS:
            raise InvalidInput(f"{OURS} has an unknown key '{key}'; known: {', '.join(OUR_KEYS)}")
    return Settings(**_taken(found, OUR_KEYS, OURS))


def of_mlserver(found: Mapping[str, Any]) -> Settings:
    """`model-settings.json`. Runtimes of MLServer's that are formats of ours become these. Raises `InvalidInput`."""
    taken = _taken(found, THEIR_KEYS, MLSERVER)
    taken |= _taken(taken.pop("parameters", {}), THEIR_PARAMETERS, MLSERVER)
    # 0 is what such a file says when nobody thought of it.
    taken["max_batch_size"] = taken.get("max_batch_size") or None
    served = MLSERVER_PACKAGES.get(taken.get("implementation", "").partition(".")[0])
    if served is not None:
        taken |= {"implementation": None, "format": served}
    return Settings(**taken)


def _taken(found: Mapping[str, Any], keys: Mapping[str, Key], where: str) -> dict[str, Any]:
    """By field. A value that is null is nothing said."""
    taken: dict[str, Any] = {}
    for name, value in found.items():
        if name in keys and value is not None:
            try:
                taken[keys[name].field] = keys[name].take(value)
            except ValueError:
                raise InvalidInput(f"'{name}' in {where} must be {keys[name].wants}") from None
    return taken


def _plain(value: str) -> Any:
    try:
        return json.loads(value.strip().lower())
    except ValueError:
        return value
