import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.run import lock

HOLD = """
import pathlib, sys, time
from modelyard.run import lock
assert lock.acquire(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_one_holds_it_and_says_who(tmp_path: Path) -> None:
    held = lock.acquire(tmp_path)
    assert held is not None
    assert lock.acquire(tmp_path) is None
    assert lock.holder(tmp_path) == os.getpid()
    held.release()
    assert lock.holder(tmp_path) is None


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    held = lock.acquire(tmp_path)
    assert held is not None
    held.release()
    assert list(tmp_path.iterdir()) == []


def test_it_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert lock.holder(tmp_path) == process.pid
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert lock.holder(tmp_path) is None
    again = lock.acquire(tmp_path)
    assert again is not None
    again.release()


@pytest.mark.parametrize("text", ["", "x", "12345\n"])
def test_a_file_that_nobody_locks_holds_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "up.lock").write_text(text)
    assert lock.holder(tmp_path) is None
