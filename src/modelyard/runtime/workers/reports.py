"""What a worker answers: JSON with raw tensors beside it, which can be read without running anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from modelyard.kit import errors as kit_errors
from modelyard.kit.errors import ModelyardError
from modelyard.runtime import errors
from modelyard.runtime.batching import Limits
from modelyard.runtime.bounds import Bounds
from modelyard.runtime.calls import Outcome
from modelyard.runtime.model import Signature
from modelyard.runtime.workers.frames import Bytes, Frame
from modelyard.wire.oip import raw
from modelyard.wire.oip.example import Values
from modelyard.wire.oip.nouns import Tensor, TensorMetadata

# The errors that are what they were on the other side; any other becomes the base of all.
_ERRORS: Mapping[str, type[ModelyardError]] = {
    it.__name__: it for it in (*kit_errors.KINDS, errors.OutOfMemory, errors.ModelFailed, errors.TooBusy)
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that the worker holds. `foreign`: code that it brings, as `load.foreign_code` names it."""

    id: int
    name: str
    version: str
    signature: Signature
    batching: Limits | None
    bounds: Bounds
    memory_bytes: int
    note: str = ""
    foreign: str | None = None
    streams: bool = False
    example: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answered:
    id: int
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class Part:
    """Of a stream; None: it is over."""

    id: int
    tensors: Sequence[Tensor] | None


@dataclass(frozen=True, slots=True)
class Done:
    id: int


@dataclass(frozen=True, slots=True)
class Failed:
    id: int
    error: ModelyardError


Report: TypeAlias = Loaded | Answered | Part | Done | Failed


def encode(report: Report) -> Frame:
    buffers: list[Bytes] = []
    said: dict[str, Any] = {"id": report.id}
    match report:
        case Loaded():
            said["loaded"] = {
                "name": report.name,
                "version": report.version,
                "platform": report.signature.platform,
                "inputs": [(it.name, it.datatype, it.shape) for it in report.signature.inputs],
                "outputs": [(it.name, it.datatype, it.shape) for it in report.signature.outputs],
                "usual": report.signature.usual,
                "batching": report.batching,
                "bounds": report.bounds,
                "memory_bytes": report.memory_bytes,
                "note": report.note,
                "foreign": report.foreign,
                "streams": report.streams,
                "example": report.example,
            }
        case Answered():
            said["answers"] = [_outcome(it, buffers) for it in report.outcomes]
        case Part():
            said["part"] = None if report.tensors is None else _tensors(report.tensors, buffers)
        case Done():
            pass
        case Failed():
            said["error"] = _error(report.error)
    return Frame(orjson.dumps(said), buffers)


def decode(frame: Frame) -> Report:
    """Raises `ValueError`, `KeyError`, `TypeError` or a `ModelyardError` for what no worker of ours says."""
    said = orjson.loads(frame.head)
    report_id = int(said["id"])
    if "loaded" in said:
        return _loaded(report_id, said["loaded"])
    if "answers" in said:
        return Answered(report_id, [_read_outcome(it, frame.buffers) for it in said["answers"]])
    if "part" in said:
        part = said["part"]
        return Part(report_id, None if part is None else _read_tensors(part, frame.buffers))
    if "error" in said:
        return Failed(report_id, _read_error(said["error"]))
    return Done(report_id)


def _outcome(outcome: Outcome, buffers: list[Bytes]) -> dict[str, Any]:
    if isinstance(outcome, ModelyardError):
        return {"error": _error(outcome)}
    return {"tensors": _tensors(outcome, buffers)}


def _read_outcome(said: Mapping[str, Any], buffers: Sequence[Bytes]) -> Outcome:
    if "error" in said:
        return _read_error(said["error"])
    return _read_tensors(said["tensors"], buffers)


def _tensors(tensors: Sequence[Tensor], buffers: list[Bytes]) -> list[Any]:
    listed: list[Any] = []
    for it in tensors:
        listed.append((it.name, it.datatype, it.data.shape, len(buffers), dict(it.parameters)))
        buffers.append(raw.encode(it.data, it.datatype))
    return listed


def _read_tensors(said: Sequence[Any], buffers: Sequence[Bytes]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, datatype, raw.decode(memoryview(buffers[place]), datatype, tuple(shape), name), parameters)
        for name, datatype, shape, place, parameters in said
    )


def _error(error: ModelyardError) -> tuple[str, str]:
    return type(error).__name__, str(error)


def _read_error(said: Sequence[Any]) -> ModelyardError:
    kind, sentence = said
    return _ERRORS.get(str(kind), ModelyardError)(str(sentence))


def _loaded(report_id: int, said: Mapping[str, Any]) -> Loaded:
    signature = Signature(
        str(said["platform"]), _read_described(said["inputs"]), _read_described(said["outputs"]), tuple(said["usual"])
    )
    limits = said["batching"]
    return Loaded(
        report_id,
        str(said["name"]),
        str(said["version"]),
        signature,
        Limits(**limits) if limits is not None else None,
        Bounds(**said["bounds"]),
        int(said["memory_bytes"]),
        str(said["note"]),
        said["foreign"],
        bool(said["streams"]),
        {str(name): tuple(values) for name, values in said["example"].items()},
    )


def _read_described(said: Sequence[Any]) -> tuple[TensorMetadata, ...]:
    return tuple(TensorMetadata(str(name), str(datatype), tuple(shape)) for name, datatype, shape in said)
