"""What can be asked of the gateway: inference and metadata, over REST or gRPC."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import grpc
import grpc.aio

from modelyard.client.addresses import Addresses
from modelyard.client.refusals import from_http, from_rpc
from modelyard.client.results import InferResult, JsonAnswer
from modelyard.kit.errors import InvalidInput, NotFound, TimedOut, Unavailable
from modelyard.wire import grpc_server, service
from modelyard.wire.manifests import check_name

if TYPE_CHECKING:
    import httpx
    from numpy.typing import ArrayLike

    from modelyard.wire.oip.nouns import InferRequest, InferResponse, ModelMetadata

Protocol: TypeAlias = Literal["rest", "grpc"]
MODEL_HEADER = "seldon-model"
_INFER = f"/{service.INFERENCE}/ModelInfer"


class GatewayCalls:
    """The inference half of the client."""

    def __init__(self, addresses: Addresses, timeout_seconds: float) -> None:
        self._gateway_addresses = addresses
        self._infer_timeout_seconds = timeout_seconds
        self._http: httpx.AsyncClient | None = None
        self._gateway_channel: grpc.aio.Channel | None = None
        self._input_names: dict[str, str] = {}

    async def infer(
        self,
        name: str,
        inputs: "Mapping[str, ArrayLike] | ArrayLike",
        *,
        outputs: Iterable[str] = (),
        protocol: Protocol = "rest",
        parameters: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        id: str = "",
    ) -> InferResult:
        """Send arrays to a model and get arrays back, by the names of its inputs and outputs.

        A single array is taken for the model's only input. `outputs` asks for some of the outputs only.
        """
        from modelyard.client.arrays import tensor_of
        from modelyard.wire.oip.nouns import InferRequest, RequestedOutput

        named = inputs if isinstance(inputs, Mapping) else {await self._only_input(name): inputs}
        request = InferRequest(
            inputs=tuple(tensor_of(it, values) for it, values in named.items()),
            outputs=tuple(RequestedOutput(it) for it in outputs),
            model=check_name(name),
            id=id,
            parameters=parameters or {},
        )
        try:
            answer, received = await self._infer(request, protocol, headers or {})
        except InvalidInput:
            self._input_names.pop(name, None)  # a new version may have another input
            raise
        return InferResult(
            model=answer.model,
            outputs={it.name: it.data for it in answer.outputs},
            headers=received,
            id=answer.id,
            version=answer.version,
            parameters=answer.parameters,
        )

    async def infer_json(
        self,
        name: str,
        body: Mapping[str, Any] | list[Any],
        *,
        protocol: Protocol = "rest",
        headers: Mapping[str, str] | None = None,
    ) -> JsonAnswer:
        """Send a V2 request as it is, or just its list of inputs, and get the V2 answer as JSON."""
        import orjson

        from modelyard.client import answers
        from modelyard.wire.oip import rest

        message = {"inputs": body} if isinstance(body, list) else body
        content = orjson.dumps(message)
        request = rest.decode_request(content)
        sent = {MODEL_HEADER: check_name(name), **_lower(headers or {})}
        if protocol == "grpc":
            answer, received = await self._infer_grpc(replace(request, model=name), tuple(sent.items()))
            return JsonAnswer(answers.in_json(answer), sent, received, f"POST {_INFER}", "grpc-status: 0 OK")
        path = f"/v2/models/{name}/infer"
        response = await self._post(path, content, {**sent, "content-type": "application/json"}, name)
        return JsonAnswer(
            body=answers.json_of(response.content, response.headers),
            sent=dict(response.request.headers),
            received=dict(response.headers),
            request_line=f"POST {path} HTTP/1.1",
            status_line=f"{response.http_version} {response.status_code} {response.reason_phrase}",
        )

    async def metadata(self, name: str) -> "ModelMetadata":
        """A model's inputs and outputs, as its server tells them."""
        from modelyard.client.metadata import metadata_from

        response = await self._request("GET", f"/v2/models/{check_name(name)}", None, {MODEL_HEADER: name}, name)
        return metadata_from(response.content)

    async def ready(self, name: str) -> bool:
        """Whether the gateway has a replica that can answer for the model now."""
        try:
            await self._request("GET", f"/v2/models/{check_name(name)}/ready", None, {MODEL_HEADER: name}, name)
        except _Unreachable:
            raise
        except (NotFound, Unavailable, InvalidInput):
            return False
        return True

    async def _only_input(self, name: str) -> str:
        if name not in self._input_names:
            known = (await self.metadata(name)).inputs
            if len(known) != 1:
                names = ", ".join(it.name for it in known) or "none"
                raise InvalidInput(f"{name} has {len(known)} inputs ({names}): give a mapping of names to arrays")
            self._input_names[name] = known[0].name
        return self._input_names[name]

    async def _infer(
        self, request: "InferRequest", protocol: Protocol, headers: Mapping[str, str]
    ) -> "tuple[InferResponse, Mapping[str, str]]":
        from modelyard.client import answers
        from modelyard.client.arrays import check_for_json
        from modelyard.wire.oip import rest

        sent = {MODEL_HEADER: request.model, **_lower(headers)}
        if protocol == "grpc":
            return await self._infer_grpc(request, tuple(sent.items()))
        if protocol != "rest":
            raise InvalidInput(f"there is no protocol {protocol!r}: rest or grpc")
        check_for_json(request.inputs)
        content = rest.encode_request(request).content
        path = f"/v2/models/{request.model}/infer"
        response = await self._post(path, content, {**sent, "content-type": "application/json"}, request.model)
        return answers.decode(response.content, response.headers), dict(response.headers)

    async def _infer_grpc(
        self, request: "InferRequest", metadata: tuple[tuple[str, str], ...]
    ) -> "tuple[InferResponse, Mapping[str, str]]":
        from modelyard.wire.oip import grpc as codec

        if self._gateway_channel is None:
            self._gateway_channel = grpc_server.channel(self._gateway_addresses.gateway())
        stub = service.Stub(self._gateway_channel, service.INFERENCE)
        call = stub.ModelInfer(codec.encode_request(request), timeout=self._infer_timeout_seconds, metadata=metadata)
        try:
            message = await call
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, request.model, self._gateway_addresses.gateway()) from None
        received: dict[str, str] = {}
        for it in (await call.initial_metadata(), await call.trailing_metadata()):
            received |= {str(key): value if isinstance(value, str) else repr(value) for key, value in it or ()}
        return codec.decode_response(message), received

    async def _post(self, path: str, content: bytes, headers: Mapping[str, str], name: str) -> "httpx.Response":
        return await self._request("POST", path, content, headers, name)

    async def _request(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], name: str
    ) -> "httpx.Response":
        import httpx

        address = self._gateway_addresses.gateway()
        if self._http is None:
            # No proxy of the environment: the gateway is named by its own address.
            self._http = httpx.AsyncClient(timeout=self._infer_timeout_seconds, trust_env=False)
        try:
            response = await self._http.request(
                method, f"http://{address}{path}", content=content, headers=dict(headers)
            )
        except httpx.TimeoutException:
            raise TimedOut(f"{name} did not answer within {self._infer_timeout_seconds:g} s") from None
        except httpx.LocalProtocolError as error:
            raise InvalidInput(f"the request cannot be sent: {error}") from None
        except httpx.TransportError as error:
            raise _Unreachable(f"cannot reach the gateway at {address}: {error or type(error).__name__}") from None
        except (httpx.InvalidURL, ValueError) as error:
            raise InvalidInput(f"the request cannot be sent: {error}") from None
        if response.status_code >= 400:
            raise from_http(response.status_code, response.content, name)
        return response

    async def _close_gateway(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None
        if self._gateway_channel is not None:
            await self._gateway_channel.close()
            self._gateway_channel = None


class _Unreachable(Unavailable):
    """The gateway itself cannot be reached; an answer of 503 is not that."""


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    for key, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", key) or not (value.isascii() and value.isprintable()):
            raise InvalidInput(f"{f'{key}: {value}'!r} cannot be sent as a header over both REST and gRPC")
    return {key.lower(): value for key, value in headers.items()}
