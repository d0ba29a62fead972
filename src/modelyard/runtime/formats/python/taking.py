"""How a method of a user's wants its tensors, as its annotations say, and the arrays for that. Needs no pandas."""

import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.settings import Settings
from modelyard.wire.oip import content_types
from modelyard.wire.oip.cast import cast
from modelyard.wire.oip.content_types import BASE64, NP, PD, Defaults, Value
from modelyard.wire.oip.nouns import BYTES, Array, InferRequest


class Taking(Enum):
    ARRAY = "one array"
    LIST = "one list"
    DICT = "arrays by name"
    FRAME = "a DataFrame"
    NAMED = "an array for each of its parameters"
    AS_SENT = "one array where one tensor is sent, else arrays by name"


# What an annotation says, by what stands in its text: neither pandas nor numpy need be imported to compare it.
_WORDS = (
    ("DataFrame", Taking.FRAME),
    ("dict", Taking.DICT),
    ("Dict", Taking.DICT),
    ("Mapping", Taking.DICT),
    ("ndarray", Taking.ARRAY),
    ("NDArray", Taking.ARRAY),
    ("list", Taking.LIST),
    ("List", Taking.LIST),
    ("Sequence", Taking.LIST),
)


def told(method: Callable[..., Any], name: str, settings: Settings) -> tuple[Taking, tuple[str, ...]]:
    """How the method takes its tensors, and the names of its parameters where each is one. Raises `InvalidInput`."""
    parameters = list(inspect.signature(method).parameters.values())
    if any(it.kind is inspect.Parameter.VAR_KEYWORD for it in parameters):
        return Taking.NAMED, ()
    needed = [it for it in parameters if it.kind is not inspect.Parameter.VAR_POSITIONAL]
    if not needed:
        raise InvalidInput(f"{name} takes no input")
    if len(needed) > 1:
        return Taking.NAMED, tuple(it.name for it in needed)
    annotation = needed[0].annotation
    if annotation is not inspect.Parameter.empty:
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        for word, taking in _WORDS:
            if word in text:
                return taking, ()
    return (Taking.FRAME if settings.content_type == PD else Taking.AS_SENT), ()


def arrays(request: InferRequest, settings: Settings, defaults: Defaults) -> Mapping[str, Array]:
    """The tensors by name: text as `str`, unless it is said to be `np` or `base64`; declared ones in their datatype."""
    found = {it.name: _text(it) for it in content_types.decode(request, defaults)}
    declared = {it.name: it for it in settings.inputs}
    if len(found) == 1 and len(declared) == 1:
        found = dict(zip(declared, found.values(), strict=True))  # as with other formats, one may have any name
    for name, said in declared.items():
        if name not in found:
            raise InvalidInput(f"input tensor '{name}' is missing; the inputs are {', '.join(declared)}")
        if said.datatype not in (None, BYTES) and found[name].dtype.kind != "M":
            found[name] = cast(found[name], str(said.datatype), name)
    return found


def given(taking: Taking, inputs: Mapping[str, Array]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named arguments. Raises `InvalidInput` where one array is taken and several came."""
    match taking:
        case Taking.DICT:
            return [dict(inputs)], {}
        case Taking.NAMED:
            return [], dict(inputs)
        case Taking.AS_SENT if len(inputs) != 1:
            return [dict(inputs)], {}
        case _ if len(inputs) != 1:
            names = ", ".join(inputs)
            raise InvalidInput(f"the model takes one input tensor, it got {len(inputs)}: {names}")
    (array,) = inputs.values()
    return [array.tolist() if taking is Taking.LIST else array], {}


def _text(value: Value) -> Array:
    if value.data.dtype == object and value.content_type not in (NP, BASE64) and value.data.size:
        return content_types.text(value.data, value.name) if isinstance(value.data.flat[0], bytes) else value.data
    return value.data
