"""What it gains to run requests that arrive together as one call: two runtimes, one that may and one that may not.

They take turns under the same load, so that noise on the machine meets both alike. CPU per request: the CPU time of
the runtime's process over the answers it gave.
"""

import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.table import Row, show

TITLE = "The built-in runtime: one row of iris (ONNX) over REST, requests that arrive together run as one call or not"
ROUNDS, SECONDS = 9, 2.0
CONNECTIONS = (16, 1)
IRIS = Path(__file__).resolve().parents[1] / "examples" / "models" / "iris-onnx"
BODY = '{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'
WRK = shutil.which("wrk")


@dataclass(slots=True)
class _Figures:
    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Runtime:
    port: int
    process: psutil.Process
    figures: dict[int, _Figures] = field(default_factory=lambda: {it: _Figures() for it in CONNECTIONS})


def run() -> Iterable[Row]:
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as scratch, contextlib.ExitStack() as stack:
        shutil.copytree(IRIS, Path(scratch) / "m0")
        script = _wrk_script(Path(scratch))
        together = stack.enter_context(_runtime(scratch))
        alone = stack.enter_context(_runtime(scratch, "--no-batch"))
        for turn in range(ROUNDS + 1):
            for runtime in (together, alone) if turn % 2 else (alone, together):
                for connections in CONNECTIONS:
                    per_second, cpu_us = _measure(runtime, connections, script)
                    if turn:  # the first round warms up
                        runtime.figures[connections].per_second.append(per_second)
                        runtime.figures[connections].cpu_us.append(cpu_us)
    yield Row("load from", "wrk, one thread" if WRK else "bench._load (Python, slower than what it measures)")
    for connections in CONNECTIONS:
        on, off = together.figures[connections], alone.figures[connections]
        what = f"{connections} connection{'s' if connections > 1 else ''}"
        yield Row(f"{what}: requests/s, together", f"{statistics.median(on.per_second):,.0f}")
        yield Row(f"{what}: requests/s, one by one", f"{statistics.median(off.per_second):,.0f}")
        gain = statistics.median(a / b for a, b in zip(on.per_second, off.per_second, strict=True))
        yield Row(f"{what}: together ÷ one by one", f"{gain:.2f} ×")
        yield Row(f"{what}: CPU per request, together", f"{statistics.median(on.cpu_us):.0f} µs")
        yield Row(f"{what}: CPU per request, one by one", f"{statistics.median(off.cpu_us):.0f} µs")
        saved = statistics.median(b / a for a, b in zip(on.cpu_us, off.cpu_us, strict=True))
        yield Row(f"{what}: CPU, one by one ÷ together", f"{saved:.2f} ×")


@contextlib.contextmanager
def _runtime(repository: str, *flags: str) -> Iterator[_Runtime]:
    command = [sys.executable, "-m", "modelyard.run.runtime", "--repository", repository, *flags]
    addresses = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    child = subprocess.Popen([*command, *addresses], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    try:
        for line in child.stderr:
            if ready := re.search(r"ready: REST on http://127\.0\.0\.1:(\d+),", line):
                break
        else:
            raise RuntimeError("the runtime ended before it was ready")
        port = int(ready[1])
        load = f"http://127.0.0.1:{port}/v2/repository/models/m0/load"
        urllib.request.urlopen(urllib.request.Request(load, b"", method="POST"), timeout=60).close()
        yield _Runtime(port, psutil.Process(child.pid))
    finally:
        child.terminate()
        child.wait()
        child.stderr.close()


def _measure(runtime: _Runtime, connections: int, script: Path) -> tuple[float, float]:
    """Requests per second, and CPU in microseconds for each."""
    before = sum(runtime.process.cpu_times()[:2])
    begun = time.perf_counter()
    if WRK:
        answers, failures = _wrk(runtime.port, connections, script)
    else:
        arguments = map(str, (runtime.port, connections, SECONDS, 1, BODY))
        out = subprocess.check_output([sys.executable, "-m", "bench._load", *arguments], text=True)
        answers, failures = map(int, out.split())
    seconds = time.perf_counter() - begun
    used = sum(runtime.process.cpu_times()[:2]) - before
    assert failures == 0, f"{failures} of {answers} requests failed"
    return answers / seconds, used / answers * 1e6


def _wrk_script(scratch: Path) -> Path:
    path = scratch / "post.lua"
    path.write_text(
        f"wrk.method = 'POST'\nwrk.body = {json.dumps(BODY)}\n"
        "wrk.headers['content-type'] = 'application/json'\n"
        "done = function(summary)\n"
        "  io.write('\\nsummary ' .. summary.requests .. ' ' .. summary.errors.status .. '\\n')\n"
        "end\n"
    )
    return path


def _wrk(port: int, connections: int, script: Path) -> tuple[int, int]:
    """Answers, and of those the ones that were not 2xx."""
    assert WRK is not None
    url = f"http://127.0.0.1:{port}/v2/models/m0/infer"
    command = [WRK, "-t1", f"-c{connections}", f"-d{SECONDS:.0f}s", "-s", str(script), url]
    summary = re.search(r"^summary (\d+) (\d+)$", subprocess.check_output(command, text=True), re.MULTILINE)
    assert summary, "wrk printed no summary"
    return int(summary[1]), int(summary[2])


if __name__ == "__main__":
    show(TITLE, run())
