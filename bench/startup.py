"""How long `modelyard up` takes to the first answered inference, and what an idle system with two replicas weighs."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from bench.table import Row
from modelyard import Client
from modelyard.run import ports, system
from modelyard.run.system import Part

TITLE = "Starting: one machine, two replicas"
ROUNDS = 3
GOAL_SECONDS = 6.0
MODELYARD = Path(sys.executable).with_name("modelyard")
IRIS = Path(__file__).resolve().parents[1] / "examples" / "models" / "iris-onnx"


def run() -> Iterator[Row]:
    seconds: dict[str, list[float]] = {"up --detach": [], "load": [], "first answer": [], "all": [], "down": []}
    weights: list[dict[str, tuple[int, int]]] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as scratch:
            state_dir = Path(scratch) / "state"
            try:
                _one_round(state_dir, seconds, weights)
            finally:
                seconds["down"].append(_run("down", "--state-dir", str(state_dir)))
    whole = statistics.median(seconds["all"])
    yield Row(
        "`modelyard up` to the first answered inference",
        f"{whole:.1f} s",
        f"≤ {GOAL_SECONDS:.0f} s",
        whole <= GOAL_SECONDS,
    )
    yield Row("  load average of the machine meanwhile", f"{psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    yield Row("  of it: up --detach, until ready", f"{statistics.median(seconds['up --detach']):.1f} s")
    yield Row("  of it: load until Available", f"{statistics.median(seconds['load']):.2f} s")
    yield Row("  of it: first inference, new connection", f"{statistics.median(seconds['first answer']) * 1000:.0f} ms")
    yield Row("`modelyard down`", f"{statistics.median(seconds['down']):.1f} s")
    for name, (resident, private) in weights[-1].items():
        yield Row(f"memory, idle: {name}", f"{resident >> 20} MiB resident, {private >> 20} MiB its own")
    total = [sum(column) for column in zip(*weights[-1].values(), strict=True)]
    yield Row("memory, idle: all together", f"{total[0] >> 20} MiB resident, {total[1] >> 20} MiB their own")


def _one_round(state_dir: Path, seconds: dict[str, list[float]], weights: list[dict[str, tuple[int, int]]]) -> None:
    begun = time.monotonic()
    flags = ("--detach", "--replicas", "2", "--state-dir", str(state_dir), "--port-base", str(_free_port_base()))
    seconds["up --detach"].append(_run("up", *flags))
    running = system.find(state_dir)
    everything = (*running.parts, Part("up", running.pid, running.create_time))
    weights.append({part.name: _weight(part.pid) for part in everything})
    with Client(state_dir=state_dir) as client:
        loading = time.monotonic()
        client.load("iris", str(IRIS), requires=["onnx"], memory="1Mi")
        client.wait("iris")
        asking = time.monotonic()
        client.infer("iris", {"X": np.zeros((1, 4), np.float32)})
        answered = time.monotonic()
    seconds["load"].append(asking - loading)
    seconds["first answer"].append(answered - asking)
    seconds["all"].append(answered - begun)


def _run(*arguments: str) -> float:
    begun = time.monotonic()
    done = subprocess.run([str(MODELYARD), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"`modelyard {arguments[0]}` failed: {done.stderr}")
    return time.monotonic() - begun


def _weight(pid: int) -> tuple[int, int]:
    """Bytes resident, and those that no other process shares."""
    memory = psutil.Process(pid).memory_full_info()
    return memory.rss, memory.uss


def _free_port_base() -> int:
    for base in range(19000, 30000, 20):
        fixed = ports.fixed_ports(base)
        if all(map(ports.is_free, (fixed.gateway, fixed.xds, fixed.scheduler, fixed.agents))):
            return base
    raise SystemExit("no free ports between 19000 and 30000")
