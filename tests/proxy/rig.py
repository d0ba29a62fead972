"""A driver, its proxies and servers behind them: what every conformance test needs, whatever the proxy."""

import asyncio
import itertools
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio
import httpx

from modelyard.proxy.desired import Changes, Endpoint, Gateway, GatewayRefusal, OnOutcome, Outcome, Route, Variant
from tests.proxy.upstreams import SERVICE, Upstream

PATIENCE_SECONDS = 30.0


class RunningDriver(Protocol):
    responses_sent: int

    async def start(self, address: str) -> int: ...
    async def stop(self) -> None: ...
    def apply(self, changes: Changes) -> None: ...
    def open(self, expected: Any = ...) -> None: ...
    def gateways(self) -> tuple[Gateway, ...]: ...
    def refusals(self) -> tuple[GatewayRefusal, ...]: ...


class ProxyKind(Protocol):
    """What a driver's own test file says of its proxy."""

    def driver(self, on_outcome: OnOutcome, lease_seconds: float) -> RunningDriver: ...
    def command(self, folder: Path, gateway_id: str, port: int, control_port: int, machine: str) -> list[str]: ...


async def until(condition: Callable[[], Any], what: str) -> None:
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def route(*variants: tuple[str, str, int]) -> Route:
    return Route(tuple(Variant(*each) for each in variants))


@dataclass
class GatewayProcess:
    port: int
    process: asyncio.subprocess.Process
    client: httpx.AsyncClient
    channel: grpc.aio.Channel

    async def kill(self) -> None:
        await self.client.aclose()
        await self.channel.close()
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def infer(self, model: str, **headers: str) -> httpx.Response:
        return await self.client.post(
            "/v2/models/any/infer",
            json={},
            headers={"seldon-model": model, **{k.replace("_", "-"): v for k, v in headers.items()}},
        )

    async def raw_status(self, method: str, path: str, *headers: str, version: str = "1.1") -> int:
        """The status of a request with this very path, which clients would tidy up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = (f"{method} {path} HTTP/{version}", "host: gateway", "content-length: 0", *headers)
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        line = (await reader.readline()).decode()
        writer.close()
        await writer.wait_closed()
        return int(line.split(" ")[1])

    async def grpc_infer(self, model: str | None, *more: tuple[str, str]) -> tuple[bytes, dict[str, str]]:
        call = self.channel.unary_unary(f"/{SERVICE}/ModelInfer")
        metadata = ((("seldon-model", model),) if model is not None else ()) + more
        running = call(b"request", metadata=metadata, timeout=PATIENCE_SECONDS)
        answer: bytes = await running
        return answer, {key: str(value) for key, value in await running.initial_metadata()}


@dataclass
class Rig:
    kind: ProxyKind
    folder: Path
    lease_seconds: float = 10.0
    live: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    gateways: list[GatewayProcess] = field(default_factory=list)
    upstreams: list[Upstream] = field(default_factory=list)
    control_port: int = 0

    async def start(self, *, opened: bool = True) -> "Rig":
        self.driver = self.kind.driver(self._on_outcome, self.lease_seconds)
        self.control_port = await self.driver.start(f"127.0.0.1:{self.control_port}")
        if opened:
            self.driver.open()
        return self

    def sent(self) -> int:
        """Responses that the driver sent since it started."""
        return self.driver.responses_sent

    async def stop(self) -> None:
        for gateway in self.gateways:
            await gateway.kill()
        await self.driver.stop()
        for upstream in self.upstreams:
            upstream.released.set()
            await upstream.stop()

    def _on_outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.live |= outcome.live
        for model in outcome.live:
            self.refused.pop(model, None)
        self.refused |= {model: refusal.reason for model, refusal in outcome.refused.items()}

    async def gateway(self, gateway_id: str = "g1", *, machine: str = "", wait: bool = True) -> GatewayProcess:
        port = free_port()
        folder = self.folder / f"{gateway_id}-{port}"
        command = self.kind.command(folder, gateway_id, port, self.control_port, machine)
        with (self.folder / f"{gateway_id}-{port}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS)
        gateway = GatewayProcess(port, process, client, grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        self.gateways.append(gateway)
        if wait:
            await self.until_serving(gateway)
        return gateway

    async def until_serving(self, gateway: GatewayProcess) -> None:
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            assert gateway.process.returncode is None, "the gateway ended"
            try:
                if (await gateway.client.get("/v2/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)
        raise AssertionError("the gateway does not serve")

    async def upstream(self, name: str, behaviour: str = "echo") -> Upstream:
        upstream = await Upstream(name, behaviour).start()
        self.upstreams.append(upstream)
        return upstream

    def apply(
        self,
        sets: Mapping[str, Mapping[str, Endpoint] | None] | None = None,
        routes: Mapping[str, Route | None] | None = None,
    ) -> int:
        version = next(self.versions)
        self.driver.apply(Changes(version, sets or {}, routes or {}))
        return version

    async def apply_live(
        self,
        sets: Mapping[str, Mapping[str, Endpoint] | None] | None = None,
        routes: Mapping[str, Route | None] | None = None,
    ) -> int:
        version = self.apply(sets, routes)
        await until(lambda: all(self.live.get(model) == version for model in routes or {}), f"{routes} live")
        return version
