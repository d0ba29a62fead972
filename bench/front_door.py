"""What the front door costs: MLServer and Triton asked directly and through it, in turns, under the same load.

A whole system is started by `modelyard up`, which installs both servers on first use. Needs wrk and h2load. The hop
needs a core of its own: where server and load fill the machine already, it takes its share from them.
"""

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import joblib
import numpy as np
import psutil
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from bench.table import Row, show
from modelyard.run import ports, system
from modelyard.run.system import System
from modelyard.wire.oip import grpc as oip_grpc
from modelyard.wire.oip.nouns import InferRequest, Tensor

TITLE = "The front door before MLServer and Triton: one row, 16 in flight, directly and through it"
ROUNDS, SECONDS, CONNECTIONS = 5, 3, 16
INSTALL_SECONDS = 900
LEAST = 0.8
PROGRAMS = ("wrk", "h2load")

IDENTITY = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        def answer(request):
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            return pb_utils.InferenceResponse([pb_utils.Tensor("y", x)])

        return [answer(it) for it in requests]
"""
CONFIG = """
backend: "python"
input [ { name: "x" data_type: TYPE_FP32 dims: [ -1, 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ -1, 4 ] } ]
"""
MANIFESTS = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Server
metadata: {{name: {config}}}
spec: {{serverConfig: {config}}}
---
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata: {{name: {model}}}
spec: {{storageUri: {folder}, requirements: [{config}, {requirement}], memory: 2Mi}}
---
"""
ROW = [[5.1, 3.5, 1.4, 0.2]]
BODY = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": ROW[0]}]}


@dataclass(slots=True)
class _Way:
    """One protocol to one server: requests per second asked directly and through the door, and the door's CPU."""

    direct: list[float] = field(default_factory=list)
    door: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


def run() -> Iterable[Row]:
    if missing := [it for it in PROGRAMS if shutil.which(it) is None]:
        yield Row("skipped", f"needs {' and '.join(missing)}")
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as scratch, _system(Path(scratch)) as running:
        yield Row("others on the machine", f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for config, model in (("mlserver", "iris_1"), ("triton", "same_1")):
            load = _Load(Path(scratch), model)
            for protocol in ("http", "grpc"):
                way = _measured(running, config, protocol, load)
                yield from _rows(f"{config} {'REST' if protocol == 'http' else 'gRPC'}", way)


def _rows(what: str, way: _Way) -> Iterator[Row]:
    ratio = statistics.median(a / b for a, b in zip(way.door, way.direct, strict=True))
    yield Row(f"{what}: requests/s directly", f"{statistics.median(way.direct):,.0f}")
    yield Row(f"{what}: requests/s through the door", f"{statistics.median(way.door):,.0f}")
    yield Row(f"{what}: through the door ÷ directly", f"{ratio:.2f}", f"at least {LEAST}", ratio >= LEAST)
    yield Row(f"{what}: CPU of the door per request", f"{statistics.median(way.cpu_us):.0f} µs")


def _measured(running: System, config: str, protocol: str, load: "_Load") -> _Way:
    parts = {part.name: part for part in running.parts}
    server, door = parts[f"runtime-{config}-0"], parts[f"door-{config}-0"]
    process, way = psutil.Process(door.pid), _Way()
    for turn in range(ROUNDS + 1):
        direct = load.per_second(protocol, server.ports[protocol])
        before = sum(process.cpu_times()[:2])
        through = load.per_second(protocol, door.ports[protocol])
        used = sum(process.cpu_times()[:2]) - before
        if turn:  # the first round warms up
            way.direct.append(direct)
            way.door.append(through)
            way.cpu_us.append(used / (through * SECONDS) * 1e6)
    return way


class _Load:
    def __init__(self, scratch: Path, model: str) -> None:
        self._model = model
        self._script, self._frame = scratch / f"{model}.lua", scratch / f"{model}.frame"
        body = json.dumps(BODY)
        self._script.write_text(
            f"wrk.method = 'POST'\nwrk.body = '{body}'\n"
            "wrk.headers['content-type'] = 'application/json'\n"
            f"wrk.headers['seldon-internal-model'] = '{model}'\n"
        )
        self._frame.write_bytes(_frame(model))

    def per_second(self, protocol: str, port: int) -> float:
        address = f"http://127.0.0.1:{port}"
        if protocol == "http":
            url = f"{address}/v2/models/{self._model}/infer"
            flags = ("-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(self._script))
            out = subprocess.check_output(["wrk", *flags, url], text=True)
            assert "Non-2xx" not in out, out
            found = re.search(r"Requests/sec:\s+([\d.]+)", out)
        else:
            url = f"{address}/inference.GRPCInferenceService/ModelInfer"
            flags = (f"-c{CONNECTIONS}", "-m1", f"-D{SECONDS}", "-d", str(self._frame))
            headers = ("content-type: application/grpc", "te: trailers", f"seldon-internal-model: {self._model}")
            given = [it for header in headers for it in ("-H", header)]
            out = subprocess.check_output(["h2load", *flags, *given, url], text=True)
            assert re.search(r"(?<!\d)0 failed, 0 errored", out), out
            found = re.search(r"finished in .*?, ([\d.]+) req/s", out)
        assert found, out
        return float(found[1])


def _frame(model: str) -> bytes:
    request = InferRequest((Tensor("x", "FP32", np.array(ROW, np.float32)),), model=model)
    message: bytes = oip_grpc.encode_request(request).SerializeToString()
    return b"\0" + len(message).to_bytes(4, "big") + message


@contextlib.contextmanager
def _system(scratch: Path) -> Iterator[System]:
    iris, same = scratch / "iris", scratch / "same"
    iris.mkdir()
    rows, classes = load_iris(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=500).fit(rows, classes), iris / "model.joblib")
    (same / "1").mkdir(parents=True)
    (same / "1" / "model.py").write_text(IDENTITY)
    (same / "config.pbtxt").write_text(CONFIG)
    manifests = scratch / "manifests.yaml"
    manifests.write_text(
        MANIFESTS.format(config="mlserver", model="iris", folder=iris, requirement="sklearn")
        + MANIFESTS.format(config="triton", model="same", folder=same, requirement="python")
    )
    state = scratch / "state"
    environment = {**os.environ, "MODELYARD_STATE_DIR": str(state)}

    def do(*arguments: str) -> None:
        command = [sys.executable, "-m", "modelyard.cli.main", *arguments]
        quiet = subprocess.DEVNULL  # that the models wait for their servers first is no news here
        subprocess.run(command, check=True, env=environment, timeout=INSTALL_SECONDS, stdout=quiet, stderr=quiet)

    base = next(it for it in range(21000, 31000, 20) if all(map(ports.is_free, range(it, it + 10))))
    do("up", "--detach", "--port-base", str(base))
    try:
        do("apply", "-f", str(manifests))
        for model in ("iris", "same"):
            do("wait", f"model/{model}", "--for", "Available", "--timeout", f"{INSTALL_SECONDS}s")
        running = system.read(state)
        assert running is not None
        yield running
    finally:
        do("down")


if __name__ == "__main__":
    show(TITLE, run())
