"""What pydantic finds wrong in a manifest, in sentences with a path and the nearest valid word."""

import difflib
import typing
from collections.abc import Iterable, Sequence

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from modelyard.wire.documents import Path

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean memory?`, or a list of what there is when nothing comes near."""
    words = sorted(known)
    folded = {it.lower(): it for it in words}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    if near:
        return f": did you mean {folded[near[0]]}?"
    return f"; there {'is' if len(words) == 1 else 'are'} {', '.join(words)}" if words else ""


def written(path: Sequence[str | int]) -> str:
    """`spec.parameters[0].name`."""
    text = "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in path)
    return text.removeprefix(".") or "the document"


def sentence(error: ErrorDetails, schema: type[BaseModel], kind: str) -> tuple[Path, str]:
    """The path of a problem and what is wrong there."""
    path: Path = error["loc"]
    where, value = written(path), error["input"]
    match error["type"]:
        case "missing":
            return path, f"{where} is missing"
        case "extra_forbidden":
            around = fields_at(schema, path[:-1])
            return path, f"{where} is not a field of a {kind}{did_you_mean(str(path[-1]), around)}"
        case "value_error":
            return path, f"{where}: {error['msg'].removeprefix('Value error, ')}"
        case "string_too_short":
            return path, f"{where} is empty"
        case "greater_than_equal":
            return path, f"{where} must be at least {error['ctx']['ge']}, not {value}"
        case "less_than_equal":
            return path, f"{where} must be at most {error['ctx']['le']}, not {value}"
        case kind_of_error if kind_of_error in _EXPECTED:
            return path, f"{where} must be {_EXPECTED[kind_of_error]}, not {_shown(value)}{_hint(kind_of_error, value)}"
    return path, f"{where}: {error['msg']}"


def _shown(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return f"the text {value[:40]!r}"
    return f"the number {value}"


def _hint(kind_of_error: str, value: object) -> str:
    if kind_of_error == "string_type" and isinstance(value, bool | int | float):
        return ": put it in quotes"
    if kind_of_error == "int_type" and isinstance(value, str) and value.strip().lstrip("-").isdigit():
        return ": leave the quotes out"
    return ""


def fields_at(schema: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The names that may stand under a path of a manifest."""
    current: type[BaseModel] | None = schema
    for step in path:
        if isinstance(step, int) or current is None:
            continue
        found = current.model_fields.get(step)
        current = _model_in(found.annotation) if found else None
    return list(current.model_fields) if current else []


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The pydantic class inside `list[X] | None` and the like."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((it for inner in typing.get_args(annotation) if (it := _model_in(inner))), None)
