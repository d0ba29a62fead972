"""What the front door costs: MLServer and Triton asked directly and through it, in turns, under the same load.

A whole system is started by `modelyard up`, which installs both servers on first use. Needs wrk and h2load. The hop
needs a core of its own: where server and load fill the machine already, it takes its share from them.
"""

import contextlib
import json
import os
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

from bench import _drive
from bench._drive import Ask, requests_per_second
from bench._figures import median, ratio_of
from bench.table import Row, show
from modelyard.run import ports, system
from modelyard.run.system import System
from modelyard.wire.oip import grpc as oip_grpc
from modelyard.wire.oip.nouns import InferRequest, Tensor

TITLE = "The front door before MLServer and Triton: one row, 16 in flight, directly and through it"
ROUNDS, SECONDS, CONNECTIONS = 5, 3, 16
INSTALL_SECONDS = 900
LEAST = 0.8

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
    if lacking := _drive.missing():
        yield Row("this bench", lacking)
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as scratch, _system(Path(scratch)) as running:
        yield Row("others on the machine", f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for config, model in (("mlserver", "iris_1"), ("triton", "same_1")):
            for protocol in ("http", "grpc"):
                way = _measured(running, config, protocol, model, Path(scratch))
                yield from _rows(f"{config} {'REST' if protocol == 'http' else 'gRPC'}", way)


def _rows(what: str, way: _Way) -> Iterator[Row]:
    ratio = ratio_of(way.door, way.direct)
    yield Row(f"{what}: requests/s directly", f"{median(way.direct):,.0f}")
    yield Row(f"{what}: requests/s through the door", f"{median(way.door):,.0f}")
    yield Row(f"{what}: through the door ÷ directly", f"{ratio:.2f}", f"at least {LEAST}", ratio >= LEAST)
    yield Row(f"{what}: CPU of the door per request", f"{median(way.cpu_us):.0f} µs")


def _measured(running: System, config: str, protocol: str, model: str, scratch: Path) -> _Way:
    parts = {part.name: part for part in running.parts}
    server, door = parts[f"runtime-{config}-0"], parts[f"door-{config}-0"]
    process, way = psutil.Process(door.pid), _Way()
    for turn in range(ROUNDS + 1):
        direct, _ = requests_per_second(_ask(protocol, server.ports[protocol], model), CONNECTIONS, SECONDS, scratch)
        before = sum(process.cpu_times()[:2])
        ask = _ask(protocol, door.ports[protocol], model)
        through, answers = requests_per_second(ask, CONNECTIONS, SECONDS, scratch)
        used = sum(process.cpu_times()[:2]) - before
        if turn:  # the first round warms up
            way.direct.append(direct)
            way.door.append(through)
            way.cpu_us.append(used / answers * 1e6)
    return way


def _ask(protocol: str, port: int, model: str) -> Ask:
    named = {"seldon-internal-model": model}
    if protocol == "http":
        return Ask(port, f"/v2/models/{model}/infer", json.dumps(BODY).encode(), {**_drive.JSON, **named})
    return Ask(port, "/inference.GRPCInferenceService/ModelInfer", _message(model), named, grpc=True)


def _message(model: str) -> bytes:
    request = InferRequest((Tensor("x", "FP32", np.array(ROW, np.float32)),), model=model)
    message: bytes = oip_grpc.encode_request(request).SerializeToString()
    return message


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
