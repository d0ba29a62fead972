"""A gateway for the benches: Envoy, told by a control plane in this process, on a thread of its own."""

import asyncio
import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from bench._ports import free_ports
from modelyard.kit.machine import machine_id
from modelyard.proxy.desired import Changes, Endpoint, Outcome, Route, Variant
from modelyard.proxy.envoy import bootstrap, process
from modelyard.proxy.envoy.server import EnvoyDriver

READY_SECONDS = 30


@contextlib.contextmanager
def started(
    servers: Mapping[str, Endpoint], model: str, *, concurrency: int = 1
) -> Iterator[tuple[int, psutil.Process]]:
    """Its port, when there is a route to each server, by its name here; `model`: as all of them know it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    live: set[str] = set()

    def on_outcome(outcome: Outcome) -> None:
        live.update(outcome.live)

    async def control() -> tuple[EnvoyDriver, int]:
        driver = EnvoyDriver(on_outcome=on_outcome)
        port = await driver.start("127.0.0.1:0")
        driver.open(expected=("bench",))
        sets = {f"{name}:0": {f"{name}/0": endpoint} for name, endpoint in servers.items()}
        driver.apply(Changes(1, sets, {name: Route((Variant(f"{name}:0", model),)) for name in servers}))
        return driver, port

    driver, xds_port = asyncio.run_coroutine_threadsafe(control(), loop).result(READY_SECONDS)
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        (port,) = free_ports(1)
        settings = bootstrap.Settings("bench", "127.0.0.1", port, "127.0.0.1", xds_port, machine=machine_id())
        command = process.prepare(settings, Path(folder), concurrency=concurrency, log_level="error")
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + READY_SECONDS
            while live != set(servers):
                if time.monotonic() > end or child.poll() is not None:
                    raise RuntimeError(f"Envoy does not serve {sorted(set(servers) - live)}")
                time.sleep(0.02)
            yield port, psutil.Process(child.pid)
        finally:
            child.kill()
            child.wait()
            asyncio.run_coroutine_threadsafe(driver.stop(), loop).result(READY_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
