"""Ending what no supervisor watches any more, and clearing away what must not outlive a system."""

import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from modelyard.agent import door_files
from modelyard.domain.names import ReplicaId
from modelyard.run import commands, processes, shared_memory, sockets, system
from modelyard.run.system import Part

PATIENCE_SECONDS = 8.0
# Where parts may leave unix sockets.
SOCKET_FOLDERS = ("gateway", "servers", "scheduler")


def end_parts(parts: Iterable[Part]) -> list[str]:
    """End those that live, who asks others before those it asks. Returns their names."""
    alive = {part.name: part.process for part in parts if part.process.is_alive()}
    for group in commands.ending_order(alive):
        processes.end([alive[name] for name in group], patience_seconds=PATIENCE_SECONDS)
    return sorted(alive)


def forget(directory: Path) -> None:
    """Nothing runs there any more: remove what says so. Journal, artifacts, agents' state and logs stay."""
    clear(directory)
    system.remove(directory)
    system.retract(directory)


def clear(directory: Path) -> None:
    """Remove what processes that were killed left behind: sockets, shared memory."""
    for folder in SOCKET_FOLDERS:
        for path in (directory / folder).rglob("*"):
            with suppress(OSError):
                if stat.S_ISSOCK(path.lstat().st_mode):
                    path.unlink()
    for replica in (directory / "servers").glob("*/*"):
        if replica.name.isdecimal():
            clear_replica(directory, ReplicaId(replica.parent.name, int(replica.name)))


def clear_replica(directory: Path, replica: ReplicaId) -> None:
    """The same for one replica, wherever it left something."""
    folder = commands.replica_dir(directory, replica)
    sockets.remove(sockets.path(folder))
    door_files.remove(folder / "agent")
    shared_memory.clear(commands.shared_memory_prefix(directory, replica))
