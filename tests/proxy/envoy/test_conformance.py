"""The Envoy driver against the suite that every driver must pass."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelyard.proxy.desired import OnOutcome
from modelyard.proxy.envoy import bootstrap, process
from modelyard.proxy.envoy.server import EnvoyDriver
from tests.proxy.conformance import *  # noqa: F403
from tests.proxy.rig import Rig

pytestmark = pytest.mark.e2e


class Envoy:
    def driver(self, on_outcome: OnOutcome, lease_seconds: float) -> EnvoyDriver:
        return EnvoyDriver(on_outcome=on_outcome, lease_seconds=lease_seconds)

    def command(self, folder: Path, gateway_id: str, port: int, control_port: int, machine: str) -> list[str]:
        settings = bootstrap.Settings(gateway_id, "127.0.0.1", port, "127.0.0.1", control_port, machine=machine)
        return process.prepare(settings, folder, concurrency=2)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = await Rig(Envoy(), tmp_path).start()
    try:
        yield rig
    finally:
        await rig.stop()
