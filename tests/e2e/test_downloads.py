"""A download under way is shown, and outlives the agent."""

import asyncio
import os
import threading

import pytest

from tests import storages
from tests.agent.storage.test_s3 import Breaking
from tests.e2e.test_storages import apply, keep_secret, train
from tests.e2e.yard import Yard, until

pytestmark = pytest.mark.e2e

LARGE = 48 << 20


class InThread:
    """The breaking proxy, beside a test without asyncio."""

    def __init__(self, proxy: Breaking) -> None:
        self._proxy, self._ready, self.url = proxy, threading.Event(), ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="proxy")

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with self._proxy.running() as self.url:
            self._ready.set()
            await self._end.wait()

    def __enter__(self) -> str:
        self._thread.start()
        assert self._ready.wait(30)
        return self.url

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


def test_a_download_is_shown_and_goes_on_after_its_agent_was_killed(yard: Yard) -> None:
    with storages.s3(yard.home) as storage:
        storage.fill("models", {"iris/model.joblib": train(yard.home), "iris/more.bin": os.urandom(LARGE)})
        proxy = Breaking(storage.url, most=0, times=0)
        proxy.hang_after = LARGE * 3 // 4
        with InThread(proxy) as url:
            parameters = {**storage.config["parameters"], "endpoint": url}  # type: ignore[dict-item]
            keep_secret(yard.home / "secrets", "mine", {**storage.config, "parameters": parameters})
            yard.up("--replicas", "1", "--secrets", str(yard.home / "secrets"))
            apply(yard, "iris", "s3://models/iris", "mine")
            until(lambda: proxy.hanging, "most of it is here")
            until(lambda: "fetching " in yard.do("get", "models", "-o", "wide"), "how far it is, is shown")
            assert "of 48Mi" in yard.do("get", "models", "-o", "wide")
            killed = yard.kill("agent-local-0")
            yard.until_restarted(killed)
            proxy.hang_after, proxy.passed = None, 0
            with yard.client() as client:
                client.wait("iris", timeout_seconds=90)
        assert "going on from" in yard.log("agent-local-0")
        assert proxy.passed < LARGE
