"""Which machine this process runs on, as far as sharing sockets with others goes."""

import hashlib
import os
import socket
import sys
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/ns/mnt")


def machine_id() -> str:
    """The same for two processes of one user who see the same files; unique among machines and containers."""
    parts = [sys.platform, str(os.getuid())]
    try:
        parts += [_BOOT_ID.read_text().strip(), str(_MOUNTS.readlink())]
    except OSError:  # not Linux
        parts.append(socket.gethostname())
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()
