"""What a big load does to the others, and what the next small model costs: time and memory.

A light ONNX model is asked at a steady pace, before and while a scikit-learn forest of some 300 MB loads; then small
models are loaded one after another, as many as a dense server holds.
"""

import contextlib
import copy
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.table import Row, show

TITLE = "Isolation: a light ONNX model while a 300 MB forest loads; and the next small model"
PACE_SECONDS = 0.01
IDLE_SECONDS = 10.0
MANY = 1_000
NEAR = 10  # loads around the one that is named
IRIS = Path(__file__).resolve().parents[1] / "examples" / "models" / "iris-onnx"
ONNX, SKLEARN = "iris, ONNX", "iris, scikit-learn"
BODY = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'


@dataclass(frozen=True, slots=True)
class _Runtime:
    port: int
    process: psutil.Process

    def post(self, path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", b"{}", method="POST")
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def load(self, model: str) -> float:
        """Seconds, request to ready."""
        begun = time.perf_counter()
        self.post(f"/v2/repository/models/{model}/load")
        return time.perf_counter() - begun

    def family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def resident(self) -> int:
        """Of all its processes; a page that several share counts once (PSS)."""
        return sum(int(it.memory_full_info().pss) for it in self.family())


def run() -> Iterable[Row]:
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as scratch:
        size = _write_forest(Path(scratch) / "forest")
        shutil.copytree(IRIS, Path(scratch) / "light")
        with _runtime(scratch) as runtime:
            runtime.load("light")
            _latencies(runtime.port, threading.Event(), 1.0)  # warms up
            idle = _latencies(runtime.port, threading.Event(), IDLE_SECONDS)
            loaded = threading.Event()
            seconds: list[float] = []

            def load() -> None:
                seconds.append(runtime.load("forest"))
                loaded.set()

            threading.Thread(target=load).start()
            during = _latencies(runtime.port, loaded, 300.0)
        yield Row("the forest's file", f"{size / 1e6:,.0f} MB")
        yield Row("its load, libraries not imported yet", f"{seconds[0]:.1f} s")
        yield Row("light model, idle: p50 / p99", f"{_ms(idle, 50)} / {_ms(idle, 99)} ms ({len(idle)} requests)")
        yield Row("while it loads: p50 / p99", f"{_ms(during, 50)} / {_ms(during, 99)} ms ({len(during)} requests)")
        yield Row("while it loads: the longest", f"{max(during) * 1e3:.1f} ms (idle {max(idle) * 1e3:.1f} ms)")
        ratio = _percentile(during, 99) / _percentile(idle, 99)
        yield Row("p99 while it loads ÷ idle", f"{ratio:.2f} ×", "≤ 3", ratio <= 3)
    for kind in (ONNX, SKLEARN):
        yield from _many(kind)


def _many(kind: str) -> Iterable[Row]:
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as scratch:
        _write_small(kind, Path(scratch) / "m0")
        for number in range(1, MANY + 1):
            shutil.copytree(Path(scratch) / "m0", Path(scratch) / f"m{number}")
        with _runtime(scratch) as runtime:
            seconds = [runtime.load("m0")]
            before = runtime.resident()
            yield Row(f"{kind}: the server with one", f"{before / 1e6:.0f} MB in {len(runtime.family())} processes")
            seconds += [runtime.load(f"m{number}") for number in range(1, MANY + 1)]
            after = runtime.resident()
    second, hundredth, last = (
        statistics.median(seconds[at : at + NEAR]) for at in (1, 100 - NEAR // 2, MANY + 1 - NEAR)
    )
    times = f"{second * 1e3:.1f} / {hundredth * 1e3:.1f} / {last * 1e3:.1f} ms"
    yield Row(f"{kind}: load of the 2nd / 100th / {MANY:,}th", times)
    slower = max(hundredth, last) / second
    yield Row(f"{kind}: load of the slowest of these ÷ the 2nd", f"{slower:.2f} ×", "≤ 1.5", slower <= 1.5)
    each = (after - before) / MANY / 1e3
    yield Row(f"{kind}: memory for each", f"{each:.0f} KB", "≤ 100 KB" if kind == ONNX else "", each <= 100 or None)


def _write_small(kind: str, folder: Path) -> None:
    if kind == ONNX:
        shutil.copytree(IRIS, folder)
        return
    import joblib
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    folder.mkdir()
    joblib.dump(LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True)), folder / "model.joblib")


def _write_forest(folder: Path) -> int:
    """Bytes. Trees are copied, as what counts is how many objects there are to unpickle."""
    import joblib
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor

    random = np.random.default_rng(0)
    rows, values = random.normal(size=(30_000, 4)), random.normal(size=30_000)
    forest = RandomForestRegressor(4, random_state=0).fit(rows, values)
    forest.estimators_ = [copy.deepcopy(it) for _ in range(28) for it in forest.estimators_]
    folder.mkdir()
    joblib.dump(forest, folder / "model.joblib")
    return (folder / "model.joblib").stat().st_size


def _latencies(port: int, until: threading.Event, seconds: float) -> list[float]:
    """Of requests at a steady pace, one at a time; one that is late delays the next, and is counted from when it was
    due, so that a stall is not hidden by asking less."""
    request = b"POST /v2/models/light/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
    taken: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = time.perf_counter()
        due = begun
        while not until.is_set() and due < begun + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.sendall(request)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            taken.append(time.perf_counter() - due)
            due += PACE_SECONDS
    return taken


def _percentile(taken: list[float], percent: int) -> float:
    return statistics.quantiles(taken, n=100)[percent - 1]


def _ms(taken: list[float], percent: int) -> str:
    return f"{_percentile(taken, percent) * 1e3:.2f}"


@contextlib.contextmanager
def _runtime(repository: str) -> Iterator[_Runtime]:
    command = [sys.executable, "-m", "modelyard.run.runtime", "--repository", repository]
    addresses = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--log-level", "info")
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen([*command, *addresses], stderr=log, text=True)
        try:
            while not (ready := re.search(r"ready: REST on http://127\.0\.0\.1:(\d+)", _text(log))):
                if child.poll() is not None:
                    raise RuntimeError("the runtime ended before it was ready")
                time.sleep(0.05)
            yield _Runtime(int(ready[1]), psutil.Process(child.pid))
        finally:
            child.terminate()
            child.wait()


def _text(log: Any) -> str:
    log.seek(0)
    return str(log.read())


if __name__ == "__main__":
    show(TITLE, run())
