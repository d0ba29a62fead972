"""What our agent tells our runtime with a load, and what the runtime says of the models that it holds.

The model repository extension lets a load carry parameters: ours stand under one key, which other servers never see
and other clients need not send. `GET /v2/modelyard/models` has no counterpart in the extension.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.kit.errors import InvalidInput

KEY = "modelyard"


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """What the manifest says beside the files. `artifact`: the digest of the files; empty where nobody knows it.

    `artifact_version`: the numbered folder to take, where the files hold several and none was taken before.
    """

    requirements: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    artifact: str = ""
    artifact_version: int | None = None


NOTHING_ORDERED = LoadOrder()


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A loaded model. `memory_bytes`: measured, None where it was not. `note`: what its user should know, one
    sentence, e.g. why it is not accelerated; empty where there is nothing to say."""

    name: str
    version: str
    memory_bytes: int | None = None
    note: str = ""


def order_to_json(order: LoadOrder) -> dict[str, Any]:
    """The body of a load."""
    mine: dict[str, Any] = {}
    if order.requirements:
        mine["requirements"] = list(order.requirements)
    if order.parameters:
        mine["parameters"] = dict(order.parameters)
    if order.artifact:
        mine["artifact"] = order.artifact
    if order.artifact_version is not None:
        mine["artifact_version"] = order.artifact_version
    return {"parameters": {KEY: mine}} if mine else {}


def order_from_json(body: Mapping[str, Any]) -> LoadOrder:
    """Unknown parameters are other people's. Raises `InvalidInput`."""
    parameters = body.get("parameters") or {}
    mine = parameters.get(KEY) or {} if isinstance(parameters, dict) else None
    if not isinstance(mine, dict):
        raise InvalidInput(f"'parameters' of a load, and '{KEY}' in it, must be objects")
    requirements, given = mine.get("requirements", []), mine.get("parameters", {})
    if not isinstance(requirements, list) or not all(isinstance(it, str) for it in requirements):
        raise InvalidInput("'requirements' of a load must be a list of strings")
    if not isinstance(given, dict) or not all(isinstance(it, str) for it in given.values()):
        raise InvalidInput("'parameters' of a model must be an object of strings")
    version = mine.get("artifact_version")
    if version is not None and (type(version) is not int or version < 0):
        raise InvalidInput("'artifact_version' of a load must be a whole number")
    return LoadOrder(tuple(requirements), given, str(mine.get("artifact", "")), version)


def held_to_json(models: Iterable[HeldModel]) -> dict[str, Any]:
    return {"models": [model_to_json(it) for it in models]}


def model_to_json(it: HeldModel) -> dict[str, Any]:
    """As one of the list, and in the answer to a load."""
    size = {} if it.memory_bytes is None else {"memory_bytes": it.memory_bytes}
    return {"name": it.name, "version": it.version, **size, **({"note": it.note} if it.note else {})}


def held_from_json(body: Any) -> tuple[HeldModel, ...]:
    """Raises `InvalidInput` for what is no answer of a runtime's."""
    try:
        return tuple(
            HeldModel(str(it["name"]), str(it.get("version", "")), *figure_from_json(it)) for it in body["models"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"this is no list of held models: {error}") from None


def figure_from_json(body: Any) -> tuple[int | None, str]:
    """The bytes and the note, of a held model or of the answer to a load. Raises `InvalidInput`."""
    if not isinstance(body, dict):
        raise InvalidInput(f"an object is needed, not {body!r}")
    size, note = body.get("memory_bytes"), body.get("note", "")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise InvalidInput(f"'memory_bytes' must be a number of bytes, not {size!r}")
    return size, str(note)
