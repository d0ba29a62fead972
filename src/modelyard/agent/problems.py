"""What can go wrong at the agent's edge, as its users read it."""

from typing import ClassVar

from modelyard.kit.errors import InvalidInput, ModelyardError, Refused, Unavailable


class ArtifactProblem(InvalidInput):
    """The artifact cannot be had; the sentence names its uri and the cause."""


class ServerLost(Unavailable):
    """The connection to the inference server broke: nobody knows what it did."""


class ServerRefusal(Refused):
    """The inference server answered, and the answer is no."""


class Superseded(ModelyardError):
    """Another agent presented the same replica: this one must not fight it."""

    exit_code: ClassVar[int] = 8
    grpc_status: ClassVar[str] = "ABORTED"
