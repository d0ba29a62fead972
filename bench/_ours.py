"""The built-in runtime for the benches: started, with models loaded as its agent loads them."""

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from bench._peers import Running
from modelyard.kit.machine import machine_id
from modelyard.proxy.desired import Endpoint
from modelyard.wire.oip.loading import LoadOrder, order_to_json

LOAD_SECONDS = 300


@contextlib.contextmanager
def started(repository: Path, *flags: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "modelyard.run.runtime", "--repository", str(repository), *flags]
    socket = str(repository.parent / f"{repository.name}.sock")
    addresses = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--unix-socket", socket)
    with (repository.parent / f"{repository.name}.log").open("w") as log:
        child = subprocess.Popen([*command, *addresses], stdin=subprocess.DEVNULL, stderr=log)
        try:
            http, grpc = _ports(child, Path(log.name))
            yield Running("built-in runtime", http, grpc, psutil.Process(child.pid), socket)
        finally:
            child.terminate()
            child.wait()


def _ports(child: "subprocess.Popen[bytes]", log: Path) -> tuple[int, int]:
    pattern = re.compile(r"ready: REST on http://127\.0\.0\.1:(\d+), gRPC on 127\.0\.0\.1:(\d+)")
    while child.poll() is None:
        if ready := pattern.search(log.read_text()):
            return int(ready[1]), int(ready[2])
        time.sleep(0.02)
    raise RuntimeError(f"the runtime ended before it was ready: {log.read_text()[-300:]}")


def endpoint(server: Running) -> Endpoint:
    """Where a gateway reaches it, and how."""
    assert server.grpc_port is not None
    offers = (True, server.unix_socket, machine_id()) if server.unix_socket else ()
    return Endpoint("127.0.0.1", server.http_port, server.grpc_port, *offers)


def load(runtime: Running, name: str, parameters: Mapping[str, str] | None = None) -> float:
    """Seconds from the request to ready."""
    begun = time.perf_counter()
    order = order_to_json(LoadOrder(parameters=dict(parameters or {})))
    _ask(runtime, "POST", f"/v2/repository/models/{name}/load", order)
    return time.perf_counter() - begun


def unload(runtime: Running, name: str) -> None:
    _ask(runtime, "POST", f"/v2/repository/models/{name}/unload", {})


def note(runtime: Running, name: str) -> str:
    """What the runtime says of a model that it holds."""
    held = _ask(runtime, "GET", "/v2/modelyard/models")["models"]
    return str(next(it.get("note", "") for it in held if it["name"] == name))


def until_compiled(runtime: Running, name: str) -> None:
    """Raises `RuntimeError` when it will not be."""
    end = time.monotonic() + LOAD_SECONDS
    while "ONNX since" not in (said := note(runtime, name)):
        if time.monotonic() > end or "not accelerated" in said:
            raise RuntimeError(f"{name} was not compiled: {said}")
        time.sleep(0.1)


def _ask(runtime: Running, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{runtime.http_port}{path}", data, method=method)
    with urllib.request.urlopen(request, timeout=LOAD_SECONDS) as answer:
        return json.load(answer)
