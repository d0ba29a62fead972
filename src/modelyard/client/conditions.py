"""What can be waited for, and when it is so."""

from typing import Literal, TypeAlias, get_args

from modelyard.domain.status import ModelState, ModelStatus

Condition: TypeAlias = Literal["Available", "Unavailable", "Deleted"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)


def is_met(condition: Condition, status: ModelStatus) -> bool:
    """Available: the newest version is. Deleted: nothing of the model is left."""
    gone = status.deleted or status.versions[-1].state is ModelState.TERMINATED
    available = not gone and status.versions[-1].state is ModelState.AVAILABLE
    match condition:
        case "Available":
            return available
        case "Unavailable":
            return not available
        case "Deleted":
            return gone


def unmet(name: str, condition: Condition, timeout_seconds: float, status: ModelStatus | None) -> str:
    """Why waiting ended in vain."""
    sentence = f"model/{name} was not {condition} within {timeout_seconds:g} s"
    if status is None:
        return f"{sentence}: the scheduler did not answer in that time"
    newest = status.versions[-1]
    return f"{sentence}: version {newest.version} is {newest.state.value.removeprefix('Model')}" + (
        f": {newest.reason}" if newest.reason else ""
    )
