"""An inference server seen through V2 health and the model repository extension: the built-in runtime, MLServer."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from modelyard.agent.problems import ServerLost, ServerRefusal
from modelyard.agent.settings import Limits

INSTANCE_HEADER = "x-modelyard-instance"
LOOK_SECONDS = 3.0
INDEX_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Look:
    """The server is ready. `instance` differs after a restart; None where the server does not say."""

    instance: str | None


class V2Server:
    """A client of one server. Every method raises `ServerLost` when the connection breaks, `ServerRefusal` on a no."""

    def __init__(self, url: str, limits: Limits) -> None:
        self._limits = limits
        pool = httpx.Limits(max_connections=limits.loads_at_once * 4 + 4, max_keepalive_connections=2)
        self._http = httpx.AsyncClient(base_url=url, limits=pool, trust_env=False)
        self.url = url

    async def close(self) -> None:
        await self._http.aclose()

    async def look(self) -> Look:
        answer = await self._ask("GET", "/v2/health/ready", LOOK_SECONDS)
        if answer.status_code != httpx.codes.OK:
            raise ServerRefusal(f"it is not ready: {_sentence(answer)}")
        return Look(answer.headers.get(INSTANCE_HEADER))

    async def index(self) -> frozenset[str]:
        """The names that are loaded."""
        answer = await self._ask("POST", "/v2/repository/index", INDEX_SECONDS, {"ready": True})
        if answer.status_code != httpx.codes.OK:
            raise ServerRefusal(f"it does not list its models: {_sentence(answer)}")
        try:
            # Some servers list more than was asked for.
            return frozenset(it["name"] for it in answer.json() if it.get("state") == "READY")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ServerRefusal(f"it answered what is no list of models: {error}") from error

    async def load(self, name: str) -> int:
        """Returns the milliseconds it took."""
        began = time.monotonic()
        answer = await self._ask("POST", f"/v2/repository/models/{name}/load", self._limits.load_seconds, {})
        if answer.status_code != httpx.codes.OK:
            raise ServerRefusal(f"the inference server cannot load it: {_sentence(answer)}")
        return round((time.monotonic() - began) * 1000)

    async def unload(self, name: str) -> None:
        """Also when it is not loaded."""
        answer = await self._ask("POST", f"/v2/repository/models/{name}/unload", self._limits.unload_seconds, {})
        if answer.status_code in (httpx.codes.OK, httpx.codes.NOT_FOUND):
            return
        if name in await self.index():  # servers disagree on how to say "it is not loaded"
            raise ServerRefusal(f"the inference server cannot unload it: {_sentence(answer)}")

    async def _ask(self, method: str, path: str, seconds: float, body: Any = None) -> httpx.Response:
        timeout = httpx.Timeout(seconds, connect=min(seconds, LOOK_SECONDS))
        try:
            return await self._http.request(method, path, json=body, timeout=timeout)
        except httpx.ReadTimeout as error:
            raise ServerRefusal(f"the inference server did not answer within {seconds:g} s") from error
        except httpx.TransportError as error:
            raise ServerLost(f"the inference server at {self.url} is gone: {error or type(error).__name__}") from error


def _sentence(answer: httpx.Response) -> str:
    try:
        found = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        found = answer.text.strip()[:300]
    return str(found) or f"HTTP {answer.status_code}"
