"""What the elements of a tensor stand for, said by its `content_type` as clients of MLServer do. Pure.

    np         numbers, or bytes, as they are; this is meant where nothing is said
    str        text, in UTF-8
    base64     bytes, written as base64
    datetime   points in time, written as ISO 8601; without a zone, or turned into UTC
    pd         a column of a table; its BYTES are text. Said of a request: each of its tensors is a column

A tensor's own word counts first, then the settings' about that input, then the request's, then the settings' about all.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip.nouns import BYTES, Array, InferRequest, Parameters, Tensor

CONTENT_TYPE = "content_type"
NP, PD, STR, BASE64, DATETIME = "np", "pd", "str", "base64", "datetime"
KNOWN = (NP, PD, STR, BASE64, DATETIME)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the settings say: of a whole request, and of inputs by name."""

    request: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)


NONE = Defaults()


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor, decoded. `data`: numbers, datetime64[us], or objects that are all `str`, or all `bytes`."""

    name: str
    data: Array
    content_type: str = ""


def decode(request: InferRequest, defaults: Defaults = NONE) -> tuple[Value, ...]:
    """Raises `InvalidInput`, naming the tensor."""
    whole = _of(request.parameters, "the request") or defaults.request
    return tuple(_decode(it, whole, defaults) for it in request.inputs)


def is_table(request: InferRequest, defaults: Defaults = NONE) -> bool:
    """Whether each tensor is said to be a column."""
    return (_of(request.parameters, "the request") or defaults.request) == PD


def plain(request: InferRequest, defaults: Defaults = NONE) -> bool:
    """Whether nothing is said of any tensor, so that all are what they are."""
    return (
        defaults is NONE and CONTENT_TYPE not in request.parameters and not any(it.parameters for it in request.inputs)
    )


def as_bytes(request: InferRequest, defaults: Defaults = NONE) -> tuple[Tensor, ...]:
    """The tensors for a model that takes text as BYTES: base64 is decoded, whatever else is text stays that."""
    decoded = decode(request, defaults)
    return tuple(
        replace(it, data=value.data) if value.content_type == BASE64 else it
        for it, value in zip(request.inputs, decoded, strict=True)
    )


def text(data: Array, tensor: str) -> Array:
    """BYTES as `str`."""
    return _each(data, tensor, bytes.decode, "is no text in UTF-8")


def moments(data: Array, tensor: str) -> Array:
    """Text, as BYTES or decoded, as datetime64[us]."""
    return _each(data, tensor, _moment, "is no date and time in ISO 8601").astype("datetime64[us]")


def _decode(tensor: Tensor, whole: str, defaults: Defaults) -> Value:
    name, data = tensor.name, tensor.data
    content_type = _of(tensor.parameters, f"tensor '{name}'") or defaults.inputs.get(name) or whole
    if content_type in ("", NP):
        return Value(name, data, content_type)
    if content_type not in KNOWN:
        known = ", ".join(KNOWN)
        raise InvalidInput(f"tensor '{name}': the content type '{content_type}' is not known; known: {known}")
    if tensor.datatype != BYTES:
        if content_type == PD:
            return Value(name, data, content_type)
        raise InvalidInput(f"tensor '{name}': the content type {content_type} wants BYTES, not {tensor.datatype}")
    match content_type:
        case "base64":
            data = _each(data, name, _from_base64, "is no base64")
        case "datetime":
            data = moments(data, name)
        case _:
            data = text(data, name)
    return Value(name, data, content_type)


def _each(data: Array, tensor: str, convert: Callable[[Any], Any], wrong: str) -> Array:
    found = np.empty(data.size, dtype=object)
    element: Any = b""
    try:
        for place, element in enumerate(data.reshape(-1).tolist()):
            found[place] = convert(element)
    except (ValueError, binascii.Error):
        shown = (element.decode(errors="replace") if isinstance(element, bytes) else str(element))[:40]
        raise InvalidInput(f"tensor '{tensor}': '{shown}' {wrong}") from None
    return found.reshape(data.shape)


def _from_base64(element: bytes) -> bytes:
    return base64.b64decode(element, validate=True)


def _moment(element: bytes | str) -> datetime:
    found = datetime.fromisoformat(element.decode() if isinstance(element, bytes) else element)
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def _of(parameters: Parameters, where: str) -> str:
    found = parameters.get(CONTENT_TYPE) or ""
    if not isinstance(found, str):
        raise InvalidInput(f"the content type of {where} must be text")
    return found
