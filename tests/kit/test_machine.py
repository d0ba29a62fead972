"""Processes of one machine agree on which machine that is."""

import subprocess
import sys

from modelyard.kit.machine import machine_id


def test_another_process_of_this_user_says_the_same() -> None:
    code = "from modelyard.kit.machine import machine_id; print(machine_id())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.strip() == machine_id()
    assert len(machine_id()) == 24
