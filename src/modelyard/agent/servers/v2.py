"""An inference server seen through V2 health and the model repository extension: what all kinds of servers share.

A kind of server (`runtime.py`, `mlserver.py`, `triton.py`) says how a model's files have to lie for it, and where it
differs in what it answers.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx

from modelyard.agent import trees
from modelyard.agent.messages import Figure
from modelyard.agent.problems import ServerLost, ServerRefusal
from modelyard.agent.settings import Limits
from modelyard.domain.agent_protocol import ModelVersion
from modelyard.domain.server import NO_OFFERS, Offers
from modelyard.wire.oip.loading import LoadOrder

INSTANCE_HEADER = "x-modelyard-instance"
LOOK_SECONDS = 3.0
INDEX_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Look:
    """The server is ready. `instance` differs after a restart; None where the server does not say."""

    instance: str | None


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """It is loaded. `load_ms`: as this side saw it. `figure`: what the server says of it right away, where it does."""

    load_ms: int
    figure: Figure = Figure()


class V2Server:
    """A client of one server. Every method raises `ServerLost` when the connection breaks, `ServerRefusal` on a no."""

    # Whether `arrange` picks among numbered folders; else it is given the one in use.
    picks_folder: ClassVar[bool] = False
    # What tells that it listens, whatever its models do.
    health: ClassVar[str] = "/v2/health/ready"
    # Whether `offers` may be more than nothing.
    offers_more: ClassVar[bool] = False

    def __init__(self, url: str, limits: Limits) -> None:
        self._limits = limits
        pool = httpx.Limits(max_connections=limits.loads_at_once * 4 + 4, max_keepalive_connections=2)
        self._http = httpx.AsyncClient(base_url=url, limits=pool, trust_env=False)
        self.url = url

    async def close(self) -> None:
        await self._http.aclose()

    def arrange(self, model_version: ModelVersion, source: Path, target: Path) -> None:  # noqa: ARG002  # others need it
        """Blocking: make the folder `target`, which the server will load, of an artifact's files. `source` is shared:
        nothing in it, nor in a file linked to it, may change. Raises `ArtifactProblem`, OSError.
        """
        trees.link(source, target)

    def copies(self, model_version: ModelVersion, source: Path) -> int | None:  # noqa: ARG002  # others need them
        """Blocking: how many times the server will hold this model; None: once, and it says nothing of it.
        Raises `ArtifactProblem`, OSError."""
        return None

    def load_body(self, order: LoadOrder) -> dict[str, Any]:  # noqa: ARG002  # others do
        """What a load carries, for servers that heed it."""
        return {}

    async def look(self) -> Look:
        answer = await self._ask("GET", self.health, LOOK_SECONDS)
        if answer.status_code != httpx.codes.OK:
            raise ServerRefusal(f"it is not ready: {self.sentence(answer)}")
        return Look(answer.headers.get(INSTANCE_HEADER))

    async def index(self) -> frozenset[str]:
        """The names that are loaded."""
        # Some servers list more than was asked for.
        return frozenset(name for name, state in (await self.states(ready=True)).items() if state == "READY")

    async def states(self, *, ready: bool = False) -> Mapping[str, str]:
        """By name what the repository index says; `ready`: of loaded models only. "" where it says nothing."""
        answer = await self._ask("POST", "/v2/repository/index", INDEX_SECONDS, {"ready": ready})
        if answer.status_code != httpx.codes.OK:
            raise ServerRefusal(f"it does not list its models: {self.sentence(answer)}")
        try:
            return {it["name"]: it.get("state") or "" for it in answer.json()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ServerRefusal(f"it answered what is no list of models: {error}") from error

    def figure(self, answer: httpx.Response) -> Figure:  # noqa: ARG002  # our runtime's has one
        """What the answer to a load says of the model."""
        return Figure()

    async def held(self) -> Mapping[str, Figure] | None:
        """What the server says of the models that it holds, by name; None: it says nothing of them."""
        return None

    async def offers(self) -> Offers:
        """How gateways may reach it beside its ports; its socket as it says, not tried."""
        return NO_OFFERS

    async def load(self, name: str, order: LoadOrder) -> LoadAnswer:
        began = time.monotonic()
        body = self.load_body(order)
        answer = await self._ask("POST", f"/v2/repository/models/{name}/load", self._limits.load_seconds, body)
        if answer.status_code != httpx.codes.OK:
            raise ServerRefusal(f"the inference server cannot load it: {self.sentence(answer)}")
        return LoadAnswer(round((time.monotonic() - began) * 1000), self.figure(answer))

    async def unload(self, name: str) -> None:
        """Also when it is not loaded."""
        answer = await self._ask("POST", f"/v2/repository/models/{name}/unload", self._limits.unload_seconds, {})
        if answer.status_code in (httpx.codes.OK, httpx.codes.NOT_FOUND):
            return
        if name in await self.index():  # servers disagree on how to say "it is not loaded"
            raise ServerRefusal(f"the inference server cannot unload it: {self.sentence(answer)}")

    async def _ask(self, method: str, path: str, seconds: float, body: Any = None) -> httpx.Response:
        timeout = httpx.Timeout(seconds, connect=min(seconds, LOOK_SECONDS))
        try:
            return await self._http.request(method, path, json=body, timeout=timeout)
        except httpx.ReadTimeout as error:
            raise ServerRefusal(f"the inference server did not answer within {seconds:g} s") from error
        except httpx.TransportError as error:
            raise ServerLost(f"the inference server at {self.url} is gone: {error or type(error).__name__}") from error

    def sentence(self, answer: httpx.Response) -> str:
        """What an answer that is a no says."""
        try:
            found = answer.json()["error"]
        except (ValueError, KeyError, TypeError):
            found = answer.text.strip()[:300]
        return str(found) or f"HTTP {answer.status_code}"
