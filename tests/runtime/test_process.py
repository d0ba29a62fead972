"""The runtime's process: how it starts and how it ends, and loading while it serves."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.runtime import artifacts, estimators
from tests.runtime.conftest import Runtime, start, stop

pytestmark = pytest.mark.e2e
ANSWERED_IN = 30


ONE = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1]}]}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelyard.run.runtime", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("flag", ["--http", "--grpc"])
def test_a_busy_port_is_one_clear_line(tmp_path: Path, flag: str):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        flags = {"--http": "127.0.0.1:0", "--grpc": "127.0.0.1:0"} | {flag: f"127.0.0.1:{port}"}
        ended = run("--repository", str(tmp_path), *(part for pair in flags.items() for part in pair))
    assert ended.returncode == 4
    lines = [line for line in ended.stderr.splitlines() if line.startswith("runtime:")]
    assert len(lines) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in lines[0]
    assert "Traceback" not in ended.stderr


def test_a_missing_repository_is_one_clear_line(tmp_path: Path):
    ended = run("--repository", str(tmp_path / "nowhere"))
    assert ended.returncode == 3
    assert ended.stderr == f"runtime: there is no folder {tmp_path / 'nowhere'} to serve models from\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_when_told_to(tmp_path: Path, number: signal.Signals):
    runtime = start(tmp_path)
    try:
        runtime.process.send_signal(number)
        assert runtime.process.wait(20) == 0
    finally:
        stop(runtime)


class InFlight:
    """A request to a model that waits until it is told to go on."""

    def __init__(self, folder: Path) -> None:
        self._begun, self._go = folder / "begun", folder / "go"
        artifacts.pickled(folder / "repository", "waits", estimators.Waits(self._begun, self._go))
        self.runtime = start(folder / "repository")
        assert self.runtime.load("waits").status_code == 200
        self._asking = ThreadPoolExecutor(1)
        self._answer = self._asking.submit(infer, self.runtime, "waits")
        until(self._begun.exists)

    def answer(self) -> httpx.Response:
        """Let it go on."""
        self._go.touch()
        self._asking.shutdown()
        return self._answer.result(ANSWERED_IN)


def infer(runtime: Runtime, model: str) -> httpx.Response:
    return httpx.post(f"{runtime.http}/v2/models/{model}/infer", json=ONE, timeout=ANSWERED_IN)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ANSWERED_IN
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_request_in_flight_is_answered_before_it_ends(tmp_path: Path):
    asked = InFlight(tmp_path)
    try:
        asked.runtime.process.terminate()
        until(lambda: any("stopping" in line for line in asked.runtime.lines))
        assert asked.answer().status_code == 200
        assert asked.runtime.process.wait(20) == 0
    finally:
        stop(asked.runtime)


def test_a_request_that_takes_too_long_does_not_keep_it_from_ending(tmp_path: Path):
    asked = InFlight(tmp_path)
    try:
        asked.runtime.process.terminate()
        assert asked.runtime.process.wait(20) == 0
        with pytest.raises(httpx.RemoteProtocolError):
            asked.answer()
    finally:
        stop(asked.runtime)


def test_an_unload_waits_for_the_request_and_the_next_one_is_told_to_go_elsewhere(tmp_path: Path):
    asked = InFlight(tmp_path)
    try:
        with ThreadPoolExecutor(1) as threads:
            unload = threads.submit(asked.runtime.unload, "waits")
            index = f"{asked.runtime.http}/v2/repository/index"
            until(lambda: httpx.post(index).json()[0]["state"] == "UNLOADING")
            after = infer(asked.runtime, "waits")
            assert (after.status_code, after.headers["x-modelyard-not-loaded"]) == (404, "true")
            assert not unload.done()
            assert asked.answer().status_code == 200
            assert unload.result(ANSWERED_IN).status_code == 200
    finally:
        assert stop(asked.runtime) == 0


def test_no_request_fails_while_a_model_is_reloaded(tmp_path: Path):
    artifacts.file(tmp_path, "m/model.onnx", artifacts.identity("FP64"))
    runtime = start(tmp_path)
    wrong: list[httpx.Response] = []
    over = threading.Event()

    def ask() -> None:
        body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]}
        with httpx.Client(base_url=runtime.http, timeout=ANSWERED_IN) as client:
            while not over.is_set():
                answer = client.post("/v2/models/m/infer", json=body)
                if answer.status_code != 200:
                    wrong.append(answer)

    try:
        runtime.load("m")
        asking = threading.Thread(target=ask)
        asking.start()
        for _ in range(20):
            assert runtime.load("m").status_code == 200
        over.set()
        asking.join(ANSWERED_IN)
        assert not wrong
    finally:
        over.set()
        assert stop(runtime) == 0


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("broken", 400, "ONNX Runtime cannot load model.onnx"),
        ("broken-pickle", 400, "model.joblib cannot be unpickled"),
        ("ends-while-unpickled", 400, "cannot be unpickled: SystemExit: 3"),
        ("no-model", 400, "has no 'predict'"),
        ("empty", 400, "no model file found"),
        ("nowhere", 404, "there is no model 'nowhere'"),
    ],
)
def test_a_load_that_fails_says_why(runtime: Runtime, name: str, status: int, says: str):
    answer = runtime.load(name)
    assert answer.status_code == status
    assert says in answer.json()["error"]


def test_a_model_that_ends_the_interpreter_ends_only_its_request(runtime: Runtime):
    assert runtime.load("ends").status_code == 200
    answer = infer(runtime, "ends")
    assert answer.status_code == 500
    assert "the model 'ends' failed: SystemExit: 3" in answer.json()["error"]
    assert httpx.get(f"{runtime.http}/v2/health/ready").status_code == 200


def test_a_load_answers_when_the_model_is_ready(runtime: Runtime):
    answer = runtime.load("diabetes").json()
    assert (answer["name"], answer["version"], answer["state"]) == ("diabetes", "1", "READY")
    assert answer["load_ms"] >= 0
    held = httpx.get(f"{runtime.http}/v2/modelyard/models").json()["models"]
    assert answer["memory_bytes"] > 0
    assert {"name": "diabetes", "version": "1", "memory_bytes": answer["memory_bytes"]} in held


def test_pickles_are_refused_when_told_to(repository: Path):
    runtime = start(repository, "--no-pickle")
    try:
        answer = runtime.load("iris")
        assert answer.status_code == 400
        assert "model.joblib is a pickle, which runs code" in answer.json()["error"]
        assert runtime.load("iris-onnx").status_code == 200
        index = httpx.post(f"{runtime.http}/v2/repository/index", json={"ready": True}).json()
        assert index == [{"name": "iris-onnx", "version": "1", "state": "READY", "reason": ""}]
    finally:
        assert stop(runtime) == 0


def test_each_start_is_another_instance(runtime: Runtime, tmp_path: Path):
    other = start(tmp_path)
    try:
        ids = {httpx.get(f"{it.http}/v2/health/live").headers["x-modelyard-instance"] for it in (runtime, other)}
        assert len(ids) == 2
    finally:
        stop(other)
