"""What one local server replica is told when it starts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from modelyard.domain.server_configs import MODELYARD


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What its agent says of it. Changing these restarts the agent while the server goes on; another `server_config`
    is another replica in the old one's place."""

    memory_bytes: int
    capabilities: tuple[str, ...]
    overcommit_percent: int = 0
    server_config: str = MODELYARD


@dataclass(frozen=True, slots=True)
class ReplicaPorts:
    """Kept for as long as the replica is wanted, whatever dies in between. The door's are used where there is one."""

    http: int
    grpc: int
    debug: int
    door_http: int
    door_grpc: int

    def runtime(self) -> Mapping[str, int]:
        return {"http": self.http, "grpc": self.grpc}

    def door(self) -> Mapping[str, int]:
        return {"http": self.door_http, "grpc": self.door_grpc}

    def agent(self) -> Mapping[str, int]:
        return {"debug": self.debug}

    def all(self) -> Mapping[str, int]:
        return asdict(self)
