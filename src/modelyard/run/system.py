"""What runs on this machine, as `modelyard up` writes it to `<state-dir>/system.json`, and how others find it.

    find(None)   MODELYARD_STATE_DIR, else the default state directory, else the only other system of this user

The state directory:

    up.lock  system.json  logs/<part>.log  scheduler/  gateway/  servers/<server>/<index>/{agent,repository}/
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from modelyard.kit.errors import Unavailable
from modelyard.run.processes import ProcessId

STATE_DIR_VARIABLE = "MODELYARD_STATE_DIR"
SYSTEM_FILE = "system.json"
DEFAULT_PORT_BASE = 9000


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the system: scheduler, gateway, runtime-local-0, agent-local-0, …"""

    name: str
    pid: int
    create_time: float
    ports: Mapping[str, int] = field(default_factory=dict[str, int])
    restarts: int = 0
    log: str = ""
    argv: tuple[str, ...] = ()

    @property
    def process(self) -> ProcessId:
        return ProcessId(self.pid, self.create_time)


@dataclass(frozen=True, slots=True)
class System:
    """A running system. Addresses are HOST:PORT; `ready` once the first request could be answered."""

    version: str
    pid: int
    create_time: float
    state_dir: str
    port_base: int
    gateway: str
    scheduler: str
    agents: str
    xds: str
    ready: bool = False
    parts: tuple[Part, ...] = ()

    @property
    def process(self) -> ProcessId:
        """`modelyard up` itself."""
        return ProcessId(self.pid, self.create_time)


def default_state_dir() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "modelyard"


def state_dir(explicit: str | os.PathLike[str] | None = None) -> Path:
    """The state directory to use: the one given, else MODELYARD_STATE_DIR, else this user's default; absolute."""
    chosen = explicit or os.environ.get(STATE_DIR_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else default_state_dir().absolute()


def write(system: System) -> None:
    """Replace system.json in one step: a reader sees the old or the new one, never a half."""
    path = Path(system.state_dir) / SYSTEM_FILE
    new = path.with_name(f".{SYSTEM_FILE}.{os.getpid()}")
    new.write_text(json.dumps(asdict(system), indent=2) + "\n")
    new.replace(path)


def read(directory: Path) -> System | None:
    """What system.json says, whether or not it still runs; None where there is none that can be read."""
    try:
        fields = json.loads((directory / SYSTEM_FILE).read_text())
        parts = tuple(Part(**{**part, "argv": tuple(part["argv"])}) for part in fields.pop("parts"))
        return System(**fields, parts=parts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def remove(directory: Path) -> None:
    (directory / SYSTEM_FILE).unlink(missing_ok=True)


def find(explicit: str | os.PathLike[str] | None = None) -> System:
    """The running system to talk to. Raises `Unavailable` when there is none, or more than one to choose from."""
    directory = state_dir(explicit)
    found = _running(directory)
    if found is not None:
        return found
    if explicit or os.environ.get(STATE_DIR_VARIABLE):
        where = f"in {directory}: start one with `modelyard up --state-dir {directory}`"
    else:
        others = running_elsewhere()
        if len(others) == 1:
            return others[0]
        if others:
            names = ", ".join(sorted(other.state_dir for other in others))
            raise Unavailable(f"{len(others)} systems of yours are running: choose one with --state-dir ({names})")
        where = f"for this user (looked in {directory}): start one with `modelyard up`"
    raise Unavailable(f"no Modelyard is running {where}, or name one with --scheduler and --gateway")


def _running(directory: Path) -> System | None:
    """Parts that a killed `up` left behind go on answering, so they count until the next `up` or `down`."""
    found = read(directory)
    if found is None:
        return None
    processes = (found.process, *(part.process for part in found.parts))
    return found if any(process.is_alive() for process in processes) else None


# Every `up` of this user leaves a link to its state directory here while it runs.


def _links() -> Path:
    return default_state_dir() / "running"


def _link(directory: Path) -> Path:
    return _links() / hashlib.sha256(str(directory).encode()).hexdigest()[:16]


def announce(directory: Path) -> None:
    """Let `find` see a system whose state directory is not the default one."""
    with contextlib.suppress(OSError):  # a convenience: a home that cannot be written to stops nobody
        link = _link(directory)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(directory)


def retract(directory: Path) -> None:
    with contextlib.suppress(OSError):
        _link(directory).unlink(missing_ok=True)
        _links().rmdir()  # only when it is empty


def running_elsewhere() -> list[System]:
    """Systems of this user that run now, in whatever state directory."""
    try:
        links = sorted(_links().iterdir())
    except OSError:
        return []
    targets = {link.readlink() for link in links if link.is_symlink()}
    return [found for target in sorted(targets) if (found := _running(target)) is not None]
