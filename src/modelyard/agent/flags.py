"""The agent's settings from flags and from the environment: a flag that is given wins.

The variables are those of the reference's agent where it has one (docs/agent.md has the table).
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from modelyard.agent.settings import Folders, Limits, Settings
from modelyard.domain.names import ReplicaId, name_problem
from modelyard.domain.server import ReplicaConfig
from modelyard.domain.server_configs import FULL_CAPABILITIES, MODELYARD, SERVER_CONFIGS
from modelyard.kit import logs
from modelyard.kit.errors import InvalidInput
from modelyard.proxy.desired import Endpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flag:
    name: str
    variable: str | None
    default: str | None
    help: str


FLAGS = (
    Flag("server-name", "SELDON_SERVER_NAME", None, "the server this replica belongs to; or POD_NAME=<name>-<idx>"),
    Flag("server-idx", "SELDON_SERVER_IDX", None, "the replica's index; or from POD_NAME"),
    Flag("scheduler-host", "SELDON_SCHEDULER_HOST", "127.0.0.1", "where the scheduler listens for agents"),
    Flag("scheduler-port", "SELDON_SCHEDULER_PORT", "9005", "and on which port"),
    Flag("inference-host", "POD_IP", "127.0.0.1", "the inference server's host, as gateways dial it"),
    Flag("inference-http-port", "SELDON_SERVER_HTTP_PORT", "8080", "its REST port"),
    Flag("inference-grpc-port", "SELDON_SERVER_GRPC_PORT", "9500", "its gRPC port"),
    Flag("server-type", "SELDON_SERVER_TYPE", MODELYARD, "what it is: modelyard, mlserver or triton"),
    Flag("parallel-workers", "MLSERVER_PARALLEL_WORKERS", "0", "of MLServer: in how many processes it holds a model"),
    Flag("reverse-proxy-http-port", "SELDON_REVERSE_PROXY_HTTP_PORT", "0",
         "the REST port of the front door before MLServer or Triton, for gateways; 0: there is none"),
    Flag("reverse-proxy-grpc-port", "SELDON_REVERSE_PROXY_GRPC_PORT", "0", "and its gRPC port"),
    Flag("memory-bytes", "MEMORY_REQUEST", "1000000", "how much memory its models may take"),
    Flag("capabilities", "SELDON_SERVER_CAPABILITIES", "", "what it can serve: a,b,c"),
    Flag("over-commit-percentage", "SELDON_OVERCOMMIT_PERCENTAGE", "0", "not built yet: taken as 0"),
    Flag("agent-folder", None, "/mnt/agent", "for state and cached artifacts"),
    Flag("repository", "MLSERVER_MODELS_DIR", None, "the server's model repository; <agent folder>/models"),
    Flag("secrets", "MODELYARD_SECRETS", None, "credentials for storages, a file each; <agent folder>/secrets"),
    Flag("debug-grpc-port", "SELDON_DEBUG_GRPC_PORT", "7777", "of AgentDebugService; 0 takes a free one"),
    Flag("server-wait-minutes", "SELDON_MAX_ELAPSED_TIME_READY_SUB_SERVICE_BEFORE_START_MINUTES", "15",
         "how long the server may take to be ready before that is complained of"),
    Flag("max-load-minutes", "SELDON_MAX_LOAD_ELAPSED_TIME_MINUTES", "120", "how long one load may take"),
    Flag("max-unload-minutes", "SELDON_MAX_UNLOAD_ELAPSED_TIME_MINUTES", "15", "how long one unload may take"),
    Flag("unload-grace-seconds", "SELDON_UNLOAD_GRACE_PERIOD_SECONDS", "0.5",
         "how long requests that are on their way here may still arrive"),
    Flag("unload-finish-seconds", None, "60",
         "how long an unload waits for requests in flight, where there is a front door"),
    Flag("log-level", "SELDON_LOG_LEVEL", "info", "debug, info, warning or error"),
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInput(message)


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Settings, str]:
    """The settings and the log level. Raises `InvalidInput`, naming the flag or the variable."""
    parser = _Parser(prog="modelyard.run.agent", description="The agent of one inference-server replica.")
    for flag in FLAGS:
        also = f" [{flag.variable}]" if flag.variable else ""
        parser.add_argument(f"--{flag.name}", metavar="X", help=f"{flag.help}{also} (default: {flag.default})")
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    values: dict[str, tuple[str, str]] = {}  # the value, and what it was called by whoever gave it
    for flag in FLAGS:
        value = given[flag.name.replace("-", "_")]
        if value is not None:
            values[flag.name] = value, f"--{flag.name}"
        elif flag.variable and environment.get(flag.variable):
            values[flag.name] = environment[flag.variable], flag.variable
        elif flag.default is not None:
            values[flag.name] = flag.default, f"--{flag.name}"
    return _settings(values, environment), _log_level(values)


def _settings(values: Mapping[str, tuple[str, str]], environment: Mapping[str, str]) -> Settings:
    host = values["inference-host"][0]
    if (overcommit := _whole(values, "over-commit-percentage", 0, 10_000)) > 0:
        log.warning("over-commit %d %% is taken as 0: agents cannot evict models yet", overcommit)
    agent_folder = Path(values["agent-folder"][0])
    repository = Path(values["repository"][0]) if "repository" in values else agent_folder / "models"
    server_type = _server_type(values)
    secrets = Path(values["secrets"][0]) if "secrets" in values else agent_folder / "secrets"
    server = Endpoint(
        host, _whole(values, "inference-http-port", 1, 65535), _whole(values, "inference-grpc-port", 1, 65535)
    )
    door = _door(values, server_type)
    http_port, grpc_port = (server.http_port, server.grpc_port) if door is None else door
    return Settings(
        replica=_replica(values, environment),
        config=ReplicaConfig(
            host=host,
            http_port=http_port,
            grpc_port=grpc_port,
            memory_bytes=_whole(values, "memory-bytes", 1, 1 << 62),
            capabilities=_capabilities(values["capabilities"][0], server_type),
        ),
        scheduler=f"{_bracketed(values['scheduler-host'][0])}:{_whole(values, 'scheduler-port', 1, 65535)}",
        server_url=f"http://{_bracketed(host)}:{server.http_port}",
        server_grpc=f"{_bracketed(host)}:{server.grpc_port}",
        server_type=server_type,
        parallel_workers=_whole(values, "parallel-workers", 0, 1000),
        upstream=None if door is None else server,
        folders=Folders(agent_folder.absolute(), repository.absolute(), secrets.absolute()),
        debug_address=f"127.0.0.1:{_whole(values, 'debug-grpc-port', 0, 65535)}",
        limits=Limits(
            server_wait_seconds=_number(values, "server-wait-minutes") * 60,
            load_seconds=_number(values, "max-load-minutes") * 60,
            unload_seconds=_number(values, "max-unload-minutes") * 60,
            unload_grace_seconds=_number(values, "unload-grace-seconds"),
            finish_seconds=_number(values, "unload-finish-seconds"),
        ),
    )


def _server_type(values: Mapping[str, tuple[str, str]]) -> str:
    value, called = values["server-type"]
    if value not in SERVER_CONFIGS:
        raise InvalidInput(f"{called} {value!r} cannot be: give one of {', '.join(SERVER_CONFIGS)}")
    return value


def _capabilities(given: str, server_type: str) -> frozenset[str]:
    """Who says nothing of another server than ours has the reference's image of it."""
    chosen = frozenset(it.strip() for it in given.split(",") if it.strip())
    return chosen or frozenset(FULL_CAPABILITIES.get(server_type, ()))


def _door(values: Mapping[str, tuple[str, str]], server_type: str) -> tuple[int, int] | None:
    """The front door's ports for REST and for gRPC; None: there is none. The built-in runtime needs none."""
    names = ("reverse-proxy-http-port", "reverse-proxy-grpc-port")
    http_port, grpc_port = (_whole(values, name, 0, 65535) for name in names)
    if server_type == MODELYARD or not (http_port or grpc_port):
        return None
    if not http_port or not grpc_port:
        raise InvalidInput(
            f"{' and '.join(values[name][1] for name in names)}: a front door has both; give both or none"
        )
    return http_port, grpc_port


def _replica(values: Mapping[str, tuple[str, str]], environment: Mapping[str, str]) -> ReplicaId:
    pod, dash, index = environment.get("POD_NAME", "").rpartition("-")
    if dash and index.isdecimal():
        values = {"server-name": (pod, "POD_NAME"), "server-idx": (index, "POD_NAME"), **values}
    for needed in ("server-name", "server-idx"):
        if needed not in values:
            raise InvalidInput(f"--{needed} is needed (or POD_NAME, such as local-0)")
    name, called = values["server-name"]
    if problem := name_problem(name):
        raise InvalidInput(f"{called}: {problem}")
    return ReplicaId(name, _whole(values, "server-idx", 0, 0xFFFFFFFF))


def _whole(values: Mapping[str, tuple[str, str]], name: str, least: int, most: int) -> int:
    value, called = values[name]
    if not (value.isascii() and value.isdecimal()) or not least <= int(value) <= most:
        raise InvalidInput(f"{called} {value!r} cannot be: give a whole number from {least} to {most}")
    return int(value)


def _number(values: Mapping[str, tuple[str, str]], name: str) -> float:
    value, called = values[name]
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise InvalidInput(f"{called} {value!r} cannot be: give a number of 0 or more")
    return number


def _log_level(values: Mapping[str, tuple[str, str]]) -> str:
    value, called = values["log-level"]
    if value.lower() not in logs.LEVELS:
        raise InvalidInput(f"{called} {value!r} cannot be: give one of {', '.join(logs.LEVELS)}")
    return value.lower()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
