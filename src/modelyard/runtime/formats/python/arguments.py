"""What the constructor and `load` of a model's class are given: its folder, and the parameters that they name."""

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelyard.kit.errors import InvalidInput

FOLDER = "folder"


def bind(function: Callable[..., Any], name: str, folder: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """By keyword. Text is converted where the annotation is a number, or true or false. Raises `InvalidInput`."""
    given: dict[str, Any] = {}
    for it in inspect.signature(function).parameters.values():
        match it.kind:
            case inspect.Parameter.VAR_KEYWORD:
                given = {**parameters, **given}
            case inspect.Parameter.VAR_POSITIONAL:
                continue
            case inspect.Parameter.POSITIONAL_ONLY:
                raise InvalidInput(f"{name} has a parameter '{it.name}' that cannot be given by name")
            case _ if it.name in parameters:
                given[it.name] = _converted(parameters[it.name], it, name)
            case _ if it.name == FOLDER:
                given[it.name] = folder
            case _ if it.default is inspect.Parameter.empty:
                raise InvalidInput(
                    f"{name} needs the parameter '{it.name}', which neither the manifest nor the settings give"
                )
    return given


def _converted(value: Any, parameter: inspect.Parameter, name: str) -> Any:
    kind = getattr(parameter.annotation, "__name__", str(parameter.annotation)).partition(" ")[0]
    if not isinstance(value, str) or kind not in ("int", "float", "bool"):
        return value
    try:
        found = json.loads(value.strip().lower())
    except ValueError:
        found = None
    fits = {"int": type(found) is int, "float": type(found) in (int, float), "bool": type(found) is bool}
    if not fits[kind]:
        raise InvalidInput(f"{name} takes the parameter '{parameter.name}' as {kind}, and '{value}' is none")
    return float(found) if kind == "float" and found is not None else found
