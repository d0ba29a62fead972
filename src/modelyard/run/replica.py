"""What one local server replica is told when it starts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What its agent says of it. Changing these restarts the agent; the runtime goes on serving."""

    memory_bytes: int
    capabilities: tuple[str, ...]
    overcommit_percent: int = 0


@dataclass(frozen=True, slots=True)
class ReplicaPorts:
    """Kept for as long as the replica is wanted, whatever dies in between."""

    http: int
    grpc: int
    debug: int

    def runtime(self) -> Mapping[str, int]:
        return {"http": self.http, "grpc": self.grpc}

    def agent(self) -> Mapping[str, int]:
        return {"debug": self.debug}

    def all(self) -> Mapping[str, int]:
        return asdict(self)
