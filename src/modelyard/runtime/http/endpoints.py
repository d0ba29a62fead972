"""The V2 endpoints over HTTP."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

import orjson

from modelyard.kit.errors import InvalidInput, ModelyardError
from modelyard.runtime.errors import NotLoaded, NotLoadedNow, headers_of
from modelyard.runtime.http.messages import BINARY, Request, Response, error_response, json_response
from modelyard.runtime.identity import Identity
from modelyard.runtime.inference import Inference
from modelyard.runtime.repository import Repository
from modelyard.wire.oip import loading, metadata, rest
from modelyard.wire.oip.headers import BINARY_HEADER_LENGTH, INSTANCE, INTERNAL_MODEL, REQUEST_ID
from modelyard.wire.oip.loading import LoadOrder
from modelyard.wire.oip.nouns import InferRequest, InferResponse

log = logging.getLogger(__name__)

Answer: TypeAlias = Response | Awaitable[Response]


class Endpoints:
    """`Endpoints.answer` is the handler of a listener: it never raises, nor does what it returns.

    A future is the answer of a request that shares a call of its model with others.
    """

    def __init__(self, repository: Repository, inference: Inference, identity: Identity) -> None:
        self._repository = repository
        self._inference = inference
        self._identity = identity
        self.ready = True

    def answer(self, request: Request) -> Answer:
        try:
            found = self._route(request)
        except Exception as error:
            found = _failure(request, error)
        if isinstance(found, Response):
            return _with_request_id(request, found)
        if isinstance(found, asyncio.Future):
            return found
        return self._later(request, found)

    async def _later(self, request: Request, answer: Awaitable[Response]) -> Response:
        try:
            response = await answer
        except Exception as error:
            response = _failure(request, error)
        return _with_request_id(request, response)

    def _route(self, request: Request) -> Answer:
        path = request.target.partition("?")[0]
        if not path.startswith("/"):  # the absolute form, as proxies may send it
            path = "/" + path.partition("://")[2].partition("/")[2]
        if "%" in path:
            path = "/".join(unquote(part).replace("/", "%2F") for part in path.split("/"))
        match path.rstrip("/").split("/")[1:]:
            case ["v2", "models", name, "infer"]:
                return _only("POST", request) or self._infer(name, "", request)
            case ["v2", "models", name, "versions", version, "infer"]:
                return _only("POST", request) or self._infer(name, version, request)
            case ["v2", "health", "live"]:
                return _only("GET", request) or self._live()
            case ["v2", "health", "ready"]:
                return _only("GET", request) or self._is_ready()
            case ["v2"]:
                content = metadata.server_to_json(self._identity.metadata())
                return _only("GET", request) or json_response(content)
            case ["v2", "models", name] if name:
                return _only("GET", request) or self._metadata(name, "", request)
            case ["v2", "models", name, "versions", version] if name:
                return _only("GET", request) or self._metadata(name, version, request)
            case ["v2", "models", name, "ready"]:
                return _only("GET", request) or self._model_ready(name, "", request)
            case ["v2", "models", name, "versions", version, "ready"]:
                return _only("GET", request) or self._model_ready(name, version, request)
            case ["v2", "repository", "index"]:
                return _only("POST", request) or self._index(request)
            case ["v2", "repository", "models", name, "load"]:
                return _only("POST", request) or self._load(name, loading.order_from_json(_json_object(request.body)))
            case ["v2", "modelyard", "models"]:
                return _only("GET", request) or json_response(loading.held_to_json(self._repository.held()))
            case ["v2", "repository", "models", name, "unload"]:
                return _only("POST", request) or self._unload(name)
        return error_response(404, f"there is nothing at {path}")

    def _live(self) -> Response:
        return json_response({"live": True}, headers={INSTANCE: self._identity.instance})

    def _is_ready(self) -> Response:
        return json_response({"ready": self.ready}, 200 if self.ready else 503, {INSTANCE: self._identity.instance})

    def _metadata(self, name: str, version: str, request: Request) -> Response:
        found = self._inference.metadata(_served_name(name, request.headers), version)
        return json_response(metadata.model_to_json(found))

    def _model_ready(self, name: str, version: str, request: Request) -> Response:
        name = _served_name(name, request.headers)
        loaded = self._repository.get(name, version).loaded
        return json_response({"name": name, "version": loaded.version, "ready": True})

    def _index(self, request: Request) -> Response:
        wanted = _json_object(request.body)
        return json_response(metadata.index_to_json(self._repository.index(ready_only=wanted.get("ready") is True)))

    async def _load(self, name: str, order: LoadOrder) -> Response:
        report = await self._repository.load(name, order)
        return json_response({"name": name, "version": report.version, "state": "READY", "load_ms": report.load_ms})

    async def _unload(self, name: str) -> Response:
        await self._repository.unload(name)
        return json_response({"name": name, "state": "UNAVAILABLE"})

    def _infer(self, name: str, version: str, request: Request) -> Answer:
        headers = request.headers
        name = _served_name(name, headers)
        self._repository.get(name, version)  # not loaded comes before whatever else may be wrong
        encoding = headers.get("content-encoding", "identity")
        if encoding != "identity":
            return error_response(415, f"bodies in the content-encoding '{encoding}' are not supported")
        wanted = rest.decode_request(request.body, _json_bytes(headers))
        answer = self._inference.infer(name, version, wanted)
        if isinstance(answer, InferResponse):
            return _inferred(answer, wanted)
        if isinstance(answer, asyncio.Future):
            return _inferred_together(answer, wanted, request)
        return _inferred_later(answer, wanted)


def _inferred(answer: InferResponse, wanted: InferRequest) -> Response:
    body = rest.encode_response(answer, wanted)
    if body.json_bytes is None:
        return Response(200, body.content)
    return Response(200, body.content, BINARY, {BINARY_HEADER_LENGTH: str(body.json_bytes)})


async def _inferred_later(answer: Awaitable[InferResponse], wanted: InferRequest) -> Response:
    return _inferred(await answer, wanted)


def _inferred_together(
    answer: "asyncio.Future[InferResponse]", wanted: InferRequest, request: Request
) -> "asyncio.Future[Response]":
    """The whole answer, with callbacks: a task for each request would cost more than its share of the call."""
    later: asyncio.Future[Response] = answer.get_loop().create_future()

    def on_answer(done: "asyncio.Future[InferResponse]") -> None:
        if later.done():
            return
        try:
            response = _inferred(done.result(), wanted)
        except Exception as error:
            response = _failure(request, error)
        later.set_result(_with_request_id(request, response))

    answer.add_done_callback(on_answer)
    return later


def _served_name(name: str, headers: Mapping[str, str]) -> str:
    """The gateway's header overrides the name in the path; of several values the last."""
    internal = headers.get(INTERNAL_MODEL)
    return internal.rpartition(",")[2].strip() if internal else name


def _json_bytes(headers: Mapping[str, str]) -> int | None:
    value = headers.get(BINARY_HEADER_LENGTH)
    if value is None:
        return None
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise InvalidInput(f"the header Inference-Header-Content-Length is '{value}', a number of bytes is wanted")
    return int(value)


def _json_object(body: bytes) -> Mapping[str, Any]:
    if not body.strip():
        return {}
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput("the body must be a JSON object")
    return found


def _only(method: str, request: Request) -> Response | None:
    """None where the request's method is the one that this endpoint has."""
    allowed = (method, "HEAD") if method == "GET" else (method,)
    if request.method in allowed:
        return None
    listed = ", ".join(allowed)
    return error_response(405, f"{request.method} is not allowed here, {listed} is", {"allow": listed})


def _failure(request: Request, error: Exception) -> Response:
    if isinstance(error, NotLoaded):
        seen = NotLoadedNow if INTERNAL_MODEL in request.headers else NotLoaded
        return error_response(seen.http_status, str(error), headers_of(error))
    if isinstance(error, ModelyardError):
        return error_response(error.http_status, str(error), headers_of(error))
    log.error("a request failed by a fault of the server", exc_info=error)
    return error_response(500, "the server failed; its log says more")


def _with_request_id(request: Request, response: Response) -> Response:
    request_id = request.headers.get(REQUEST_ID)
    if request_id is None:
        return response
    return Response(response.status, response.body, response.content_type, {**response.headers, REQUEST_ID: request_id})
