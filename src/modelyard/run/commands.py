"""How each part is started: its name and its command line. Pure."""

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import modelyard.agent.servers
from modelyard.domain.names import ReplicaId
from modelyard.domain.server_configs import MLSERVER, MODELYARD, TRITON
from modelyard.run import sockets
from modelyard.run.ports import HOST, FixedPorts
from modelyard.run.programs import Program, backends
from modelyard.run.replica import ReplicaPorts, ReplicaSettings

SCHEDULER = "scheduler"
GATEWAY = "gateway"
RUNTIME_PREFIX = "runtime-"
DOOR_PREFIX = "door-"
AGENT_PREFIX = "agent-"


def runtime_name(replica: ReplicaId) -> str:
    return f"{RUNTIME_PREFIX}{replica.server}-{replica.index}"


def door_name(replica: ReplicaId) -> str:
    return f"{DOOR_PREFIX}{replica.server}-{replica.index}"


def agent_name(replica: ReplicaId) -> str:
    return f"{AGENT_PREFIX}{replica.server}-{replica.index}"


def replica_of(part: str) -> ReplicaId | None:
    """The replica that a part belongs to, by its name; None for the others."""
    for prefix in (RUNTIME_PREFIX, DOOR_PREFIX, AGENT_PREFIX):
        if part.startswith(prefix):
            server, _, index = part.removeprefix(prefix).rpartition("-")
            return ReplicaId(server, int(index)) if server and index.isdecimal() else None
    return None


def ending_order(parts: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups to end one after the other: who asks others ends before those it asks."""
    names = sorted(parts)
    agents = tuple(name for name in names if name.startswith(AGENT_PREFIX))
    doors = tuple(name for name in names if name.startswith(DOOR_PREFIX))
    runtimes = tuple(name for name in names if name.startswith(RUNTIME_PREFIX))
    scheduler = tuple(name for name in names if name == SCHEDULER)
    rest = tuple(name for name in names if name not in {*agents, *doors, *runtimes, *scheduler})  # the gateway
    return tuple(group for group in (agents, doors, runtimes, rest, scheduler) if group)


def _python(module: str, *arguments: str | int | Path) -> tuple[str, ...]:
    # -P: a file in the working directory must not stand in for a module.
    return (sys.executable, "-P", "-m", f"modelyard.run.{module}", *map(str, arguments))


def scheduler(state_dir: Path, ports: FixedPorts) -> tuple[str, ...]:
    return _python(
        "scheduler",
        *("--state-dir", state_dir),
        *("--api", f"{HOST}:{ports.scheduler}"),
        *("--agents", f"{HOST}:{ports.agents}"),
        *("--xds", f"{HOST}:{ports.xds}"),
    )


def gateway(state_dir: Path, ports: FixedPorts) -> tuple[str, ...]:
    return _python(
        "gateway",
        *("--listen", f"{HOST}:{ports.gateway}"),
        *("--xds", f"{HOST}:{ports.xds}"),
        *("--state-dir", state_dir),
        *("--id", GATEWAY),
    )


def replica_dir(state_dir: Path, replica: ReplicaId) -> Path:
    return state_dir / "servers" / replica.server / str(replica.index)


def runtime(state_dir: Path, replica: ReplicaId, ports: ReplicaPorts) -> tuple[str, ...]:
    return _python(
        "runtime",
        *("--http", f"{HOST}:{ports.http}"),
        *("--grpc", f"{HOST}:{ports.grpc}"),
        *("--unix-socket", sockets.path(replica_dir(state_dir, replica))),
        *("--repository", replica_dir(state_dir, replica) / "repository"),
    )


def server(state_dir: Path, replica: ReplicaId, ports: ReplicaPorts, config: str, program: Program) -> tuple[str, ...]:
    """The inference server of a replica, of whatever kind."""
    if config == MLSERVER:
        return mlserver(state_dir, replica, ports, program)
    if config == TRITON:
        return triton(state_dir, replica, ports, program)
    return runtime(state_dir, replica, ports)


# MLServer is told by its environment, which is made part of its command: commands are what adoption compares.
_MLSERVER_MAIN = "from mlserver.cli.main import main; main()"
# Our class that tells it which models there are; MLServer's own reads all settings files again for each load.
_MLSERVER_SIDE = Path(modelyard.agent.servers.__path__[0]) / "in_mlserver"
_MLSERVER_REPOSITORY = "modelyard_repository.FolderRepository"
# As the reference sets them: gRPC messages of up to 1 GB, 16 MB of shared memory for each Python model of Triton's.
_MESSAGE_BYTES = 1048576000
_SHARED_MEMORY_BYTES = 16777216


def mlserver(state_dir: Path, replica: ReplicaId, ports: ReplicaPorts, program: Program) -> tuple[str, ...]:
    folder = replica_dir(state_dir, replica)
    environment = {
        "PYTHONPATH": _MLSERVER_SIDE,
        "MLSERVER_HOST": HOST,
        "MLSERVER_HTTP_PORT": ports.http,
        "MLSERVER_GRPC_PORT": ports.grpc,
        "MLSERVER_METRICS_ENDPOINT": "",  # it would want a port of its own
        "MLSERVER_PARALLEL_WORKERS": 0,
        "MLSERVER_LOAD_MODELS_AT_STARTUP": "false",
        "MLSERVER_MODEL_REPOSITORY_IMPLEMENTATION": _MLSERVER_REPOSITORY,
        "MLSERVER_ENVIRONMENTS_DIR": folder / "environments",
        "MLSERVER_GRPC_MAX_MESSAGE_LENGTH": _MESSAGE_BYTES,
        "MLSERVER_DEBUG": "false",
    }
    return (*_env(environment), program.binary, "-c", _MLSERVER_MAIN, "start", str(folder / "repository"))


def triton(state_dir: Path, replica: ReplicaId, ports: ReplicaPorts, program: Program) -> tuple[str, ...]:
    environment: dict[str, str | Path] = {}
    if program.libraries is not None:
        environment["LD_LIBRARY_PATH"] = program.libraries
    if program.python_home is not None:  # its Python models run on the first one that is found
        environment["PATH"] = f"{program.python_home}:{os.defpath}"
    return (
        *_env(environment),
        program.binary,
        f"--model-repository={replica_dir(state_dir, replica) / 'repository'}",
        f"--backend-directory={backends(Path(program.binary))}",
        "--model-control-mode=explicit",
        "--strict-readiness=false",
        "--allow-metrics=false",
        f"--http-address={HOST}",
        f"--http-port={ports.http}",
        f"--grpc-address={HOST}",
        f"--grpc-port={ports.grpc}",
        f"--backend-config=python,shm-default-byte-size={_SHARED_MEMORY_BYTES}",
        f"--backend-config=python,shm-region-prefix-name={shared_memory_prefix(state_dir, replica)}",
    )


def shared_memory_prefix(state_dir: Path, replica: ReplicaId) -> str:
    """How the names of a Triton's shared memory begin; one that is killed leaves it behind."""
    place = hashlib.sha256(f"{state_dir}\n{replica}".encode()).hexdigest()[:16]
    return f"modelyard-{place}-"


def _env(variables: Mapping[str, object]) -> tuple[str, ...]:
    return ("/usr/bin/env", *(f"{name}={value}" for name, value in variables.items())) if variables else ()


def health_path(config: str) -> str:
    """What answers 200 once the server listens; of those that are not ours, `ready` waits for their models too."""
    return "/v2/health/ready" if config == MODELYARD else "/v2/health/live"


def door(state_dir: Path, replica: ReplicaId, ports: ReplicaPorts) -> tuple[str, ...]:
    return _python(
        "front_door",
        *("--http", f"{HOST}:{ports.door_http}"),
        *("--grpc", f"{HOST}:{ports.door_grpc}"),
        *("--agent-folder", replica_dir(state_dir, replica) / "agent"),
        *("--id", door_name(replica)),
    )


def agent(
    state_dir: Path,
    replica: ReplicaId,
    ports: ReplicaPorts,
    settings: ReplicaSettings,
    fixed: FixedPorts,
    secrets: Path | None = None,
) -> tuple[str, ...]:
    folder = replica_dir(state_dir, replica)
    behind_door = settings.server_config != MODELYARD
    return _python(
        "agent",
        *("--server-name", replica.server),
        *("--server-idx", replica.index),
        *("--scheduler-host", HOST),
        *("--scheduler-port", fixed.agents),
        *("--inference-host", HOST),
        *("--inference-http-port", ports.http),
        *("--inference-grpc-port", ports.grpc),
        *("--server-type", settings.server_config),
        *(("--reverse-proxy-http-port", ports.door_http) if behind_door else ()),
        *(("--reverse-proxy-grpc-port", ports.door_grpc) if behind_door else ()),
        *("--memory-bytes", settings.memory_bytes),
        *("--capabilities", ",".join(settings.capabilities)),
        *("--over-commit-percentage", settings.overcommit_percent),
        *("--agent-folder", folder / "agent"),
        *("--repository", folder / "repository"),
        *("--debug-grpc-port", ports.debug),
        *("--secrets", secrets or state_dir / "secrets"),
    )
