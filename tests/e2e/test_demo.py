"""`make demo`, as a user runs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.yard import EXAMPLES, processes_of, until

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, str(EXAMPLES / "demo.py")]


def environment(scratch: Path, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    return {**clean, "TMPDIR": str(scratch), "XDG_STATE_HOME": str(scratch / "xdg"), **more}


def assert_nothing_left(scratch: Path) -> None:
    until(lambda: not processes_of(scratch), "its processes are gone")
    assert list(scratch.glob("modelyard-demo-*")) == []


def test_the_demo_answers_rightly_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False, env=environment(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for name in ("iris", "breast-cancer", "diabetes"):
        for kind in ("sklearn", "onnx"):
            assert f"{name}-{kind} is Available" in done.stdout
            assert done.stdout.count(f"{name}-{kind}_1 predicts") == 2
    assert "every answer was right" in done.stdout
    assert_nothing_left(tmp_path)


def test_a_demo_that_cannot_run_says_why(tmp_path: Path) -> None:
    broken = environment(tmp_path, MODELYARD_ENVOY="/nowhere/envoy")
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False, env=broken)
    assert done.returncode == 1
    assert "The demo failed: `modelyard up` failed: error: MODELYARD_ENVOY names /nowhere/envoy" in done.stderr
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["● modelyard up", "● Loading"])
def test_an_interrupted_demo_stops_everything(tmp_path: Path, number: signal.Signals, after: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", *COMMAND[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(after):
                break
        time.sleep(0.5)  # somewhere in the middle of it; anywhere will do
        os.killpg(process.pid, number)  # as a terminal does
        _, said = process.communicate()
        assert process.returncode == 130
    assert "Interrupted: stopping everything." in said
    assert_nothing_left(tmp_path)
