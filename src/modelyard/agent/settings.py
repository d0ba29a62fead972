"""What an agent is told when it starts, checked."""

from dataclasses import dataclass
from pathlib import Path

from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ReplicaConfig
from modelyard.domain.server_configs import MODELYARD
from modelyard.proxy.desired import Endpoint


@dataclass(frozen=True, slots=True)
class Folders:
    """`agent`: state and cached artifacts. `repository`: the inference server's model repository. `secrets`: files
    with credentials for storages."""

    agent: Path
    repository: Path
    secrets: Path = Path("/mnt/agent/secrets")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what may take long or grow large. Seconds and bytes."""

    server_wait_seconds: float = 15 * 60  # until a server that is not ready is complained of
    load_seconds: float = 120 * 60
    unload_seconds: float = 15 * 60
    unload_grace_seconds: float = 0.5  # requests that were already routed here still arrive
    finish_seconds: float = 60  # then an unload waits no longer for requests in flight at the front door
    connect_seconds: float = 10
    read_seconds: float = 60
    artifact_bytes: int = 64 << 30
    artifact_files: int = 100_000
    download_tries: int = 5
    part_bytes: int = 8 << 20  # larger files are downloaded in parts, and go on from the parts that are there
    parts_at_once: int = 8
    fetches_at_once: int = 4
    loads_at_once: int = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """`config` is what the scheduler hears: its ports are those that gateways dial.

    `upstream`: the inference server behind a front door, whose ports those then are; None: there is no front door.
    """

    replica: ReplicaId
    config: ReplicaConfig
    scheduler: str  # HOST:PORT
    server_url: str  # the inference server's REST address
    folders: Folders
    debug_address: str  # HOST:PORT
    shared: bool = True
    upstream: Endpoint | None = None
    limits: Limits = Limits()
    server_type: str = MODELYARD
    server_grpc: str = ""  # HOST:PORT, its gRPC address: for servers that say more there
    parallel_workers: int = 0  # MLServer's: in how many processes it holds each model; 0: in its own
