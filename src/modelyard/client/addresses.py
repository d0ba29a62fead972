"""Where the scheduler and the gateway are: as told, else as the running system's state directory says.

argument  >  state directory given as an argument  >  environment variable  >  the system found for this user
"""

import os

from modelyard.kit.errors import InvalidInput
from modelyard.run import system

SCHEDULER_VARIABLE = "MODELYARD_SCHEDULER"
GATEWAY_VARIABLE = "MODELYARD_GATEWAY"


class Addresses:
    """Found when first asked for: who only talks to the gateway needs no scheduler."""

    def __init__(
        self,
        scheduler: str | None = None,
        gateway: str | None = None,
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        from_environment = os.environ if state_dir is None else {}
        self._scheduler = scheduler or from_environment.get(SCHEDULER_VARIABLE)
        self._gateway = gateway or from_environment.get(GATEWAY_VARIABLE)
        self._state_dir = state_dir
        self._system: system.System | None = None

    def scheduler(self) -> str:
        """HOST:PORT. Raises `Unavailable` when nothing runs and nothing was told."""
        if self._scheduler:
            return host_port(self._scheduler, "scheduler")
        if self._gateway and self._state_dir is None:
            raise _other_missing("gateway", "scheduler")
        return self.local().scheduler

    def gateway(self) -> str:
        if self._gateway:
            return host_port(self._gateway, "gateway")
        if self._scheduler and self._state_dir is None:
            raise _other_missing("scheduler", "gateway")
        return self.local().gateway

    @property
    def told(self) -> bool:
        """An address was given: the system is not necessarily on this machine."""
        return bool(self._scheduler or self._gateway)

    def local(self) -> system.System:
        """The system running on this machine."""
        if self._system is None:
            self._system = system.find(self._state_dir)
        return self._system


def _other_missing(given: str, missing: str) -> InvalidInput:
    variable = SCHEDULER_VARIABLE if missing == "scheduler" else GATEWAY_VARIABLE
    return InvalidInput(
        f"a {given} was named but no {missing}, which might belong to another system: "
        f"give --{missing} HOST:PORT or set {variable}"
    )


def host_port(address: str, what: str) -> str:
    """The address without a scheme. Raises `InvalidInput` unless it is HOST:PORT."""
    bare = address.strip().removeprefix("http://").removeprefix("grpc://").rstrip("/")
    host, _, port = bare.rpartition(":")
    if not host or "/" in bare or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidInput(f"{address!r} is not the address of a {what}: write HOST:PORT, such as 127.0.0.1:9004")
    return bare
