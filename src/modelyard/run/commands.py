"""How each part is started: its name and its command line. Pure."""

import sys
from collections.abc import Iterable
from pathlib import Path

from modelyard.domain.names import ReplicaId
from modelyard.run import sockets
from modelyard.run.ports import HOST, FixedPorts
from modelyard.run.replica import ReplicaPorts, ReplicaSettings

SCHEDULER = "scheduler"
GATEWAY = "gateway"
RUNTIME_PREFIX = "runtime-"
AGENT_PREFIX = "agent-"


def runtime_name(replica: ReplicaId) -> str:
    return f"{RUNTIME_PREFIX}{replica.server}-{replica.index}"


def agent_name(replica: ReplicaId) -> str:
    return f"{AGENT_PREFIX}{replica.server}-{replica.index}"


def replica_of(part: str) -> ReplicaId | None:
    """The replica that a part belongs to, by its name; None for the others."""
    for prefix in (RUNTIME_PREFIX, AGENT_PREFIX):
        if part.startswith(prefix):
            server, _, index = part.removeprefix(prefix).rpartition("-")
            return ReplicaId(server, int(index)) if server and index.isdecimal() else None
    return None


def ending_order(parts: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Groups to end one after the other: who asks others ends before those it asks."""
    names = sorted(parts)
    agents = tuple(name for name in names if name.startswith(AGENT_PREFIX))
    runtimes = tuple(name for name in names if name.startswith(RUNTIME_PREFIX))
    scheduler = tuple(name for name in names if name == SCHEDULER)
    rest = tuple(name for name in names if name not in {*agents, *runtimes, *scheduler})  # the gateway
    return tuple(group for group in (agents, runtimes, rest, scheduler) if group)


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


def agent(
    state_dir: Path,
    replica: ReplicaId,
    ports: ReplicaPorts,
    settings: ReplicaSettings,
    fixed: FixedPorts,
    secrets: Path | None = None,
) -> tuple[str, ...]:
    folder = replica_dir(state_dir, replica)
    return _python(
        "agent",
        *("--server-name", replica.server),
        *("--server-idx", replica.index),
        *("--scheduler-host", HOST),
        *("--scheduler-port", fixed.agents),
        *("--inference-host", HOST),
        *("--inference-http-port", ports.http),
        *("--inference-grpc-port", ports.grpc),
        *("--memory-bytes", settings.memory_bytes),
        *("--capabilities", ",".join(settings.capabilities)),
        *("--over-commit-percentage", settings.overcommit_percent),
        *("--agent-folder", folder / "agent"),
        *("--repository", folder / "repository"),
        *("--debug-grpc-port", ports.debug),
        *("--secrets", secrets or state_dir / "secrets"),
    )
