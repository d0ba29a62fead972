"""What a front door is started with."""

import subprocess
from pathlib import Path

import pytest

from modelyard.proxy.envoy import door_bootstrap, process
from tests.proxy.rig import free_port


def settings(folder: Path) -> door_bootstrap.Settings:
    return door_bootstrap.Settings(
        "door-mls-0", "127.0.0.1", free_port(), free_port(), str(folder / "control.sock"), str(folder / "admin.sock")
    )


def test_nobody_else_reaches_its_admin_interface_or_its_control_plane(tmp_path: Path) -> None:
    built = door_bootstrap.build(settings(tmp_path))
    assert built["admin"]["address"] == {"pipe": {"path": str(tmp_path / "admin.sock"), "mode": 0o600}}
    (agent,) = built["static_resources"]["clusters"]
    (place,) = agent["load_assignment"]["endpoints"]
    assert [it["endpoint"]["address"] for it in place["lb_endpoints"]] == [
        {"pipe": {"path": str(tmp_path / "control.sock")}}
    ]


@pytest.mark.e2e
def test_envoy_accepts_it_without_a_warning(tmp_path: Path) -> None:
    command = process.prepare_door(settings(tmp_path), tmp_path, concurrency=1)
    loud = [it for it in command if it not in ("--component-log-level", "misc:critical")]  # deprecations are said there
    checked = subprocess.run([*loud, "--mode", "validate"], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr.lower(), checked.stderr
