"""What this process has in memory, and how to give back what it has freed. Linux; elsewhere nothing is known."""

import ctypes
import gc
from pathlib import Path

# No model is free: what the smallest takes lies on pages that others had left. A session of ONNX Runtime takes 80 KB.
LEAST_BYTES = 100 << 10


def own_bytes(pid: int | str = "self") -> int:
    """Anonymous memory: what is the process's own, and no page of a file. 0 where that cannot be known."""
    return _field(Path(f"/proc/{pid}/status"), "RssAnon:") + _field(Path(f"/proc/{pid}/status"), "RssShmem:")


def private_bytes(pid: int | str = "self") -> int:
    """What would be free if the process ended: nothing that it shares with the process that it was forked from."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    return _field(rollup, "Private_Dirty:") + _field(rollup, "Private_Clean:")


def settle(*, collect: bool = True) -> None:
    """Free what nobody uses and hand it back to the system, which glibc otherwise keeps."""
    if collect:
        gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass


def _field(path: Path, name: str) -> int:
    try:
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return 0
