"""The errors that reach a user. Each says what, where and what to do, in one sentence or two.

ModelyardError
├── InvalidInput      what the user gave cannot be right              exit 2 · HTTP 400 · INVALID_ARGUMENT
├── NotFound          no such model, server, file                     exit 3 · HTTP 404 · NOT_FOUND
├── Refused           understood, and not possible as things stand    exit 4 · HTTP 409 · FAILED_PRECONDITION
├── Unavailable       a part cannot be reached, or is not ready yet   exit 5 · HTTP 503 · UNAVAILABLE
├── TimedOut          it did not happen in time                       exit 6 · HTTP 504 · DEADLINE_EXCEEDED
└── NotSupported      known to the protocol, not built yet            exit 7 · HTTP 501 · UNIMPLEMENTED
"""

from typing import ClassVar


class ModelyardError(Exception):
    """The base of all: str() is the sentence a user reads."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    grpc_status: ClassVar[str] = "INTERNAL"


class InvalidInput(ModelyardError):
    exit_code = 2
    http_status = 400
    grpc_status = "INVALID_ARGUMENT"


class NotFound(ModelyardError):
    exit_code = 3
    http_status = 404
    grpc_status = "NOT_FOUND"


class Refused(ModelyardError):
    exit_code = 4
    http_status = 409
    grpc_status = "FAILED_PRECONDITION"


class Unavailable(ModelyardError):
    exit_code = 5
    http_status = 503
    grpc_status = "UNAVAILABLE"


class TimedOut(ModelyardError):
    exit_code = 6
    http_status = 504
    grpc_status = "DEADLINE_EXCEEDED"


class NotSupported(ModelyardError):
    exit_code = 7
    http_status = 501
    grpc_status = "UNIMPLEMENTED"


# The kinds that users know, each with an exit code of its own.
KINDS: tuple[type[ModelyardError], ...] = (InvalidInput, NotFound, Refused, Unavailable, TimedOut, NotSupported)


def for_grpc_status(status: str) -> type[ModelyardError]:
    """The error class of a gRPC status name; ModelyardError itself where none fits."""
    return next((e for e in KINDS if e.grpc_status == status), ModelyardError)
