"""Where a model lives: in the server's own process, in the worker of small models, or in one of its own. Pure."""

from enum import Enum

from modelyard.runtime.formats import content

# ONNX Runtime lets others run while it works, and runs no code of the artifact's.
_AT_HOME = frozenset({content.ONNX})
# Libraries whose code is known to return. Whatever else runs is somebody's own.
_KNOWN = frozenset({content.SKLEARN, content.XGBOOST, content.LIGHTGBM, content.CATBOOST})
# Loading one of this size by a library that holds Python's lock would slow its neighbours for a second.
LARGE_BYTES = 32 << 20


class Place(Enum):
    HERE = "in the server"
    SHARED = "in the worker of small models"
    OWN = "in a worker of its own"


def place(model_format: str, size_bytes: int, wanted: bool | None) -> Place:
    """`size_bytes`: of the artifact. `wanted`: what the model's settings say of `worker`."""
    if wanted is not None:
        return Place.OWN if wanted else Place.HERE
    if model_format in _AT_HOME:
        return Place.HERE
    if model_format not in _KNOWN or size_bytes > LARGE_BYTES:
        return Place.OWN
    return Place.SHARED


def should_move(foreign: str | None, memory_bytes: int) -> bool:
    """Whether a model that was loaded among others turned out to need a worker of its own."""
    return foreign is not None or memory_bytes > LARGE_BYTES
