"""What the runtime refuses, beyond the errors that every part shares."""

from collections.abc import Mapping
from typing import ClassVar

from modelyard.kit.errors import ModelyardError, NotFound, Refused, Unavailable
from modelyard.wire.oip.headers import NOT_LOADED, RETRY_AFTER


class NotLoaded(NotFound):
    """The model is not in memory here; nothing ran, so another replica may be asked."""


class NotLoadedNow(Unavailable):
    """The same, asked by a gateway that has a route to here: the model exists, and is on its way in or out.

    Should no other replica have it either, its client hears "try again" and not "there is no such model".
    """


class OutOfMemory(Refused):
    """There was no memory for a load."""

    http_status: ClassVar[int] = 507
    grpc_status: ClassVar[str] = "RESOURCE_EXHAUSTED"


class TooBusy(ModelyardError):
    """More requests wait for the model than may; nothing ran."""

    http_status: ClassVar[int] = 429
    grpc_status: ClassVar[str] = "RESOURCE_EXHAUSTED"


class WorkerAway(Unavailable):
    """The process that the model lives in is not there; nothing ran, so another replica may be asked."""


class WorkerLost(Unavailable):
    """It ended while it ran the request. Nobody else is asked: the request may be what ended it, and would end all."""


class ModelFailed(ModelyardError):
    """The model raised while it predicted."""


def headers_of(error: ModelyardError) -> Mapping[str, str]:
    """What goes beside the sentence, as HTTP headers or gRPC trailers, for gateways and clients that retry."""
    if isinstance(error, NotLoaded | NotLoadedNow | WorkerAway):
        return {NOT_LOADED: "true"}
    if isinstance(error, TooBusy):
        return {RETRY_AFTER: "1"}
    return {}


def first_line(error: BaseException) -> str:
    """What a library's exception says, without its further lines."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
