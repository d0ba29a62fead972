"""The runtime as its users meet it: a process of its own, on real sockets, with real models."""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.runtime import artifacts

ROOT = Path(__file__).parents[2]
LOADED = ("iris-onnx", "iris", "iris-named", "iris-zipmap", "fails", "scaler", "diabetes")


@dataclass
class Runtime:
    """A running runtime; `lines` is what it logged."""

    process: subprocess.Popen[str]
    repository: Path
    http: str = ""
    grpc: str = ""
    socket: Path | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def host_port(self) -> tuple[str, int]:
        host, _, port = self.http.removeprefix("http://").partition(":")
        return host, int(port)

    def load(self, name: str) -> httpx.Response:
        return httpx.post(f"{self.http}/v2/repository/models/{name}/load", timeout=60)

    def unload(self, name: str) -> httpx.Response:
        return httpx.post(f"{self.http}/v2/repository/models/{name}/unload", timeout=60)


def start(repository: Path, *flags: str) -> Runtime:
    """Returns when it has said that it is ready."""
    command = [sys.executable, "-m", "modelyard.run.runtime", "--repository", str(repository)]
    process = subprocess.Popen(
        [*command, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", *flags],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
    )
    runtime = Runtime(process, repository)
    assert process.stderr is not None
    for line in process.stderr:
        runtime.lines.append(line)
        if ready := re.search(r"ready: REST on (\S+), gRPC on (\S+),", line):
            runtime.http, runtime.grpc = ready.groups()
            break
    else:
        raise AssertionError("".join(runtime.lines))
    threading.Thread(target=lambda: runtime.lines.extend(process.stderr or ()), daemon=True).start()
    return runtime


def stop(runtime: Runtime) -> int:
    runtime.process.terminate()
    try:
        return runtime.process.wait(20)
    finally:
        runtime.process.kill()
        runtime.process.wait()
        if runtime.process.stderr is not None:
            runtime.process.stderr.close()


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    artifacts.write(folder)
    return folder


@pytest.fixture(scope="session")
def runtime(repository: Path) -> Iterator[Runtime]:
    """One for all tests, which leave the models of LOADED alone."""
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        path = Path(folder) / "runtime.sock"
        yield from _runtime(repository, path)
        assert not path.exists(), "the socket is left behind"


def _runtime(repository: Path, socket: Path) -> Iterator[Runtime]:
    running = start(repository, "--unix-socket", str(socket))
    running.socket = socket
    try:
        for name in (*LOADED, *(f"identity-{datatype.lower()}" for datatype in artifacts.ONNX_TYPES)):
            assert running.load(name).status_code == 200
        yield running
    finally:
        code = stop(running)
    assert code == 0, "".join(running.lines)
    assert not any("Traceback" in line for line in running.lines), "".join(running.lines)


@pytest.fixture
def client(runtime: Runtime) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=runtime.http, timeout=30) as opened:
        yield opened
