"""What routing costs Envoy with 10, 1,000 and 10,000 models, and what one more model costs.

Three Envoys, each with its own control plane in this process, take turns under the same load, so that noise on the
machine meets all alike. CPU per request: the CPU time of the Envoy process over the answers it gave.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench._ports import free_ports
from bench.table import Row, show
from modelyard.proxy.desired import Changes, Endpoint, Outcome, Route, Variant
from modelyard.proxy.envoy import bootstrap, process
from modelyard.proxy.envoy.server import EnvoyDriver

TITLE = "Routing through Envoy, one scope per model"
SIZES = (10, 1_000, 10_000)
ROUNDS, SECONDS, CONNECTIONS = 15, 1.0, 16
MORE_MODELS = 50


@dataclass(slots=True)
class _System:
    models: int
    driver: EnvoyDriver
    live: dict[str, int]
    changed: asyncio.Event
    port: int
    envoy: psutil.Process
    seconds_to_serve: float
    version: int = 1

    async def add(self, name: str) -> float:
        """Seconds from the change to the ACK."""
        self.version += 1
        start = time.perf_counter()
        self.driver.apply(Changes(self.version, {}, {name: _route(name)}))
        while self.live.get(name) != self.version:
            self.changed.clear()
            await self.changed.wait()
        return time.perf_counter() - start


def run() -> Iterable[Row]:
    return asyncio.run(_run())


async def _run() -> list[Row]:
    rows: list[Row] = []
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(_upstream())
        systems = [await stack.enter_async_context(_system(size, upstream)) for size in SIZES]
        cost: dict[int, list[float]] = {size: [] for size in SIZES}
        for turn in range(ROUNDS + 1):
            for system in systems if turn % 2 else reversed(systems):
                figure = await _cpu_per_request(system)
                if turn:  # the first round warms up
                    cost[system.models].append(figure)
        few = statistics.median(cost[SIZES[0]])
        for size in SIZES:
            ratio = statistics.median(cost[size]) / few
            rows.append(
                Row(
                    f"Envoy CPU per request, {size:,} models",
                    f"{statistics.median(cost[size]):.0f} µs ({ratio:.2f} ×)" if size != SIZES[0] else f"{few:.0f} µs",
                    "≤ 1.10 × that of 10" if size != SIZES[0] else "",
                    ratio <= 1.10 if size != SIZES[0] else None,
                )
            )
        largest = systems[-1]
        more = sorted([await largest.add(f"more-{number}") for number in range(MORE_MODELS)])
        p50, p99 = more[len(more) // 2] * 1e3, more[-1] * 1e3
        rows.append(Row("one more model at 10,000: change → ACK, p50", f"{p50:.1f} ms", "≤ 10 ms", p50 <= 10))
        rows.append(Row("the same, worst of 50", f"{p99:.1f} ms"))
        seconds = largest.seconds_to_serve
        rows.append(Row("a fresh Envoy: start → serves 10,000 models", f"{seconds:.2f} s", "≤ 2 s", seconds <= 2.0))
        rows.append(Row("Envoy resident, 10 models", f"{systems[0].envoy.memory_info().rss / 2**20:.0f} MiB"))
        rows.append(Row("Envoy resident, 10,000 models", f"{largest.envoy.memory_info().rss / 2**20:.0f} MiB"))
    return rows


def _route(name: str) -> Route:
    return Route((Variant("local:0", f"{name}_1"),))


@contextlib.asynccontextmanager
async def _upstream() -> AsyncIterator[int]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench._upstream", stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        yield int(await child.stdout.readline())
    finally:
        child.kill()
        await child.wait()


@contextlib.asynccontextmanager
async def _system(models: int, upstream: int) -> AsyncIterator[_System]:
    live: dict[str, int] = {}
    changed = asyncio.Event()

    def on_outcome(outcome: Outcome) -> None:
        live.update(outcome.live)
        changed.set()

    driver = EnvoyDriver(on_outcome=on_outcome)
    control = await driver.start("127.0.0.1:0")
    driver.open()
    routes = {f"m{number}": _route(f"m{number}") for number in range(models)}
    driver.apply(Changes(1, {"local:0": {"local/0": Endpoint("127.0.0.1", upstream, upstream)}}, routes))
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        (port,) = free_ports(1)
        settings = bootstrap.Settings("bench", "127.0.0.1", port, "127.0.0.1", control)
        command = process.prepare(settings, Path(folder), concurrency=1, log_level="error")
        start = time.perf_counter()
        child = await asyncio.create_subprocess_exec(*command)
        try:
            for _ in range(3000):
                if await _serves(port, f"m{models - 1}"):
                    break
                await asyncio.sleep(0.01)
            else:
                raise RuntimeError(f"Envoy does not serve {models} models")
            seconds = time.perf_counter() - start
            yield _System(models, driver, live, changed, port, psutil.Process(child.pid), seconds)
        finally:
            child.kill()
            await child.wait()
            await driver.stop()


async def _serves(port: int, model: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    body = b'{"inputs":[{"data":[0]}]}'  # ends as bench._upstream expects
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nhost: x\r\nseldon-model: {model}\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.readline()
    writer.close()
    return b" 200 " in answer


async def _cpu_per_request(system: _System) -> float:
    """In microseconds."""
    before = sum(system.envoy.cpu_times()[:2])
    arguments = map(str, (system.port, CONNECTIONS, SECONDS, system.models))
    load = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench._load", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await load.communicate()
    used = sum(system.envoy.cpu_times()[:2]) - before
    answers, failures = map(int, out.split())
    assert failures == 0, f"{failures} of {answers} requests failed"
    return used / answers * 1e6


if __name__ == "__main__":
    show(TITLE, run())
