"""Where a local runtime's socket lies."""

import os
import socket
import stat
from pathlib import Path

import pytest

from modelyard.run import sockets
from modelyard.runtime.http.unix_socket import LONGEST_PATH_BYTES


def test_it_lies_in_the_replicas_folder(tmp_path: Path) -> None:
    folder = Path("/state/servers/local/0")
    assert sockets.path(folder) == folder / "runtime.sock"
    sockets.prepare(tmp_path / "nowhere" / "runtime.sock")  # the folder is somebody else's business
    assert not (tmp_path / "nowhere").exists()


def test_where_that_is_too_long_each_folder_has_a_short_one_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    near, other = sockets.path(deep / "0"), sockets.path(deep / "1")
    assert near == sockets.path(deep / "0") != other
    assert len(os.fsencode(near)) <= LONGEST_PATH_BYTES
    sockets.prepare(near)
    sockets.prepare(near)
    assert stat.S_IMODE(near.parent.stat().st_mode) == 0o700
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(near))
    sockets.remove(near)
    sockets.remove(near)
    assert not near.exists()


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "shared"
    open_to_all.mkdir(mode=0o755)
    with pytest.raises(PermissionError, match="is not a folder of this user alone"):
        sockets.prepare(open_to_all / "abc.sock")
