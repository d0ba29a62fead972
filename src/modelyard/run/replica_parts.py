"""The processes of a local replica, in the order in which they start.

gateway ──▶ runtime                 ours answers the gateway itself
gateway ──▶ door ──▶ runtime        any other inference server has a front door
agent tells both
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from modelyard.domain.names import ReplicaId
from modelyard.domain.server_configs import MODELYARD
from modelyard.run import commands, ready
from modelyard.run.ports import FixedPorts
from modelyard.run.programs import Program
from modelyard.run.replica import ReplicaPorts, ReplicaSettings
from modelyard.run.supervisor import PartSpec

# An agent's door opens its ports only when the agent has told it what for.
WAIT_FOR_AGENT = (commands.DOOR_PREFIX,)


def specs(
    state_dir: Path,
    replica: ReplicaId,
    ports: ReplicaPorts,
    settings: ReplicaSettings,
    fixed: FixedPorts,
    program: Program | None,
    secrets: Path | None = None,
) -> tuple[PartSpec, ...]:
    """`program` None: what the server runs from is not installed yet, so the server is left out."""
    config = settings.server_config
    found = []
    if program is not None:
        argv = commands.server(state_dir, replica, ports, config, program)
        answers = _http_ok(ports.http, commands.health_path(config))
        found.append(PartSpec(commands.runtime_name(replica), argv, answers, ports.runtime()))
    if config != MODELYARD:
        argv = commands.door(state_dir, replica, ports)
        found.append(PartSpec(commands.door_name(replica), argv, _port_open(ports.door_http), ports.door()))
    argv = commands.agent(state_dir, replica, ports, settings, fixed, secrets)
    found.append(PartSpec(commands.agent_name(replica), argv, _port_open(ports.debug), ports.agent()))
    return tuple(found)


def renewed(ports: ReplicaPorts, part: str, fresh: ReplicaPorts) -> ReplicaPorts:
    """Other ports for one of the parts. Pure."""
    if part.startswith(commands.RUNTIME_PREFIX):
        return replace(ports, http=fresh.http, grpc=fresh.grpc)
    if part.startswith(commands.DOOR_PREFIX):
        return replace(ports, door_http=fresh.door_http, door_grpc=fresh.door_grpc)
    return replace(ports, debug=fresh.debug)


def _http_ok(port: int, path: str) -> Callable[[], Awaitable[bool]]:
    async def answers() -> bool:
        return await ready.http_ok(port, path)

    return answers


def _port_open(port: int) -> Callable[[], Awaitable[bool]]:
    async def answers() -> bool:
        return await ready.port_open(port)

    return answers
