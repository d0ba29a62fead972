"""The built-in runtime."""

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from modelyard.agent.messages import Figure
from modelyard.agent.problems import ServerRefusal
from modelyard.agent.servers.v2 import INDEX_SECONDS, V2Server
from modelyard.domain.server import Offers
from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip import loading
from modelyard.wire.oip.extensions import GRPC_OVER_HTTP1, UNIX_SOCKET
from modelyard.wire.oip.loading import LoadOrder


class Runtime(V2Server):
    """It takes a model's files as they are, names its instance in every answer, and measures what it holds."""

    offers_more: ClassVar[bool] = True

    def load_body(self, order: LoadOrder) -> dict[str, Any]:
        return loading.order_to_json(order)

    def figure(self, answer: httpx.Response) -> Figure:
        try:
            return Figure(*loading.figure_from_json(answer.json()))
        except (ValueError, InvalidInput) as error:
            raise ServerRefusal(f"the inference server answered the load with what is no answer: {error}") from error

    async def offers(self) -> Offers:
        answer = await self._ask("GET", "/v2", INDEX_SECONDS)
        if answer.status_code != httpx.codes.OK:
            raise ServerRefusal(f"it does not say what it can do: HTTP {answer.status_code}")
        try:
            said = [it for it in answer.json()["extensions"] if isinstance(it, str)]
        except (ValueError, KeyError, TypeError) as error:
            raise ServerRefusal(f"it answered what does not describe a server: {error}") from error
        sockets = (it.removeprefix(UNIX_SOCKET) for it in said if it.startswith(UNIX_SOCKET))
        return Offers(GRPC_OVER_HTTP1 in said, next(sockets, ""))

    async def held(self) -> Mapping[str, Figure] | None:
        answer = await self._ask("GET", "/v2/modelyard/models", INDEX_SECONDS)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None  # an older one
        if answer.status_code != httpx.codes.OK:
            raise ServerRefusal(f"it does not say what its models take: HTTP {answer.status_code}")
        try:
            held = loading.held_from_json(answer.json())
        except (ValueError, InvalidInput) as error:
            raise ServerRefusal(f"it answered what is no list of models: {error}") from error
        return {it.name: Figure(it.memory_bytes, it.note) for it in held}
