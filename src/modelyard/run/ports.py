"""Which ports a system takes: the parts that others dial at fixed offsets from the base, replicas where there is room.

The offsets make the defaults the reference's: gateway 9000, xDS 9002, scheduler API 9004, agent service 9005, chainer
9008. Nothing listens on the chainer's yet, so it is kept free for later and not checked.
"""

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from modelyard.kit.errors import InvalidInput, Refused

HOST = "127.0.0.1"
CHAINER_OFFSET = 8
# Replicas begin here, above what a neighbour with another base in the same thousand would take as fixed ports.
REPLICA_OFFSET = 1000
LOWEST, HIGHEST = 1024, 65535


@dataclass(frozen=True, slots=True)
class FixedPorts:
    gateway: int
    xds: int
    scheduler: int
    agents: int
    chainer: int


def fixed_ports(base: int) -> FixedPorts:
    if not LOWEST <= base <= HIGHEST - REPLICA_OFFSET:
        raise InvalidInput(f"--port-base {base} cannot be: it must be between {LOWEST} and {HIGHEST - REPLICA_OFFSET}")
    return FixedPorts(gateway=base, xds=base + 2, scheduler=base + 4, agents=base + 5, chainer=base + CHAINER_OFFSET)


def is_free(port: int, host: str = HOST) -> bool:
    """Nobody listens there now. Connections that merely linger (TIME_WAIT) do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def require_free(port: int, what: str) -> None:
    """Raises `Refused` with who holds the port, as far as this user may know."""
    if not is_free(port):
        raise Refused(
            f"port {port}, which the {what} needs, is in use{_holder(port)}: "
            "end what uses it, or choose other ports with --port-base"
        )


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and connection.pid and tuple(connection.laddr)[1:] == (port,):
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def take_free(base: int, count: int, taken: Iterable[int] = ()) -> list[int]:
    """Free ports for a replica, the lowest above base + 1000 that are not in `taken`.

    They are only looked at, not held: who gets one must be ready to find it busy and to ask again.
    """
    avoid = set(taken)
    found: list[int] = []
    for port in range(base + REPLICA_OFFSET, HIGHEST + 1):
        if port not in avoid and is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise Refused(f"no {count} free ports above {base + REPLICA_OFFSET}: choose other ports with --port-base")
