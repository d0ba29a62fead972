"""The V2 endpoints over HTTP."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Mapping
from functools import lru_cache, partial
from typing import Any, TypeAlias
from urllib.parse import unquote

import orjson

from modelyard.kit.errors import InvalidInput, ModelyardError
from modelyard.runtime.errors import NotLoaded, NotLoadedNow, headers_of
from modelyard.runtime.http import compressing, documented, events, inflating
from modelyard.runtime.http.messages import (
    BINARY,
    EVENTS,
    Answer,
    Later,
    Request,
    Response,
    Streamed,
    error_response,
    json_response,
    later,
)
from modelyard.runtime.http.reader import MOST_BODY_BYTES
from modelyard.runtime.identity import Identity
from modelyard.runtime.inference import Inference
from modelyard.runtime.repository import Repository
from modelyard.wire.oip import loading, metadata, rest
from modelyard.wire.oip.headers import BINARY_HEADER_LENGTH, INSTANCE, INTERNAL_MODEL, REQUEST_ID
from modelyard.wire.oip.loading import LoadOrder
from modelyard.wire.oip.nouns import InferRequest, InferResponse

log = logging.getLogger(__name__)

# Longer ones are not remembered.
QUICK_TARGET = 256

_Found: TypeAlias = Response | Later | Coroutine[Any, Any, Response | Streamed]


class Endpoints:
    """`Endpoints.answer` is the handler of a listener: it never raises, nor does what it returns."""

    def __init__(
        self, repository: Repository, inference: Inference, identity: Identity, most_body_bytes: int = MOST_BODY_BYTES
    ) -> None:
        self._repository = repository
        self._inference = inference
        self._identity = identity
        self._most_body_bytes = most_body_bytes
        self.ready = True

    def answer(self, request: Request) -> Answer:
        try:
            found = self._route(request)
        except Exception as error:
            found = _failure(request, error)
        if isinstance(found, Response):
            return _finished(request, found)
        return found if isinstance(found, Later) else later(self._safely(request, found), found)

    async def _safely(self, request: Request, answer: Awaitable[Response | Streamed]) -> Response | Streamed:
        try:
            response = await answer
        except Exception as error:
            response = _failure(request, error)
        if isinstance(response, Streamed):
            return response
        response.headers = {**response.headers, **_request_id(request)}
        return await compressing.compressed_later(response, request.headers)

    def _route(self, request: Request) -> _Found:
        target = request.target
        parts = _quick_parts(target) if len(target) <= QUICK_TARGET else _parts(target)
        match parts:
            case ["v2", "models", name, "infer"]:
                return _only("POST", request) or self._infer(name, "", request)
            case ["v2", "models", name, "versions", version, "infer"]:
                return _only("POST", request) or self._infer(name, version, request)
            case ["v2", "models", name, "infer_stream"]:
                return _only("POST", request) or self._infer_stream(name, "", request)
            case ["v2", "models", name, "versions", version, "infer_stream"]:
                return _only("POST", request) or self._infer_stream(name, version, request)
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
            case ["v2", "models", name, "docs", *below] if name:
                return _only("GET", request) or self._docs(name, below, request)
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
        return error_response(404, f"there is nothing at /{'/'.join(parts)}")

    def _live(self) -> Response:
        return json_response({"live": True}, headers={INSTANCE: self._identity.instance})

    def _is_ready(self) -> Response:
        return json_response({"ready": self.ready}, 200 if self.ready else 503, {INSTANCE: self._identity.instance})

    def _metadata(self, name: str, version: str, request: Request) -> Response:
        found = self._inference.metadata(_served_name(name, request.headers), version)
        return json_response(metadata.model_to_json(found))

    def _docs(self, name: str, below: list[str], request: Request) -> Response:
        loaded = self._repository.get(_served_name(name, request.headers)).loaded
        return documented.answer(loaded, name, below, request)

    def _model_ready(self, name: str, version: str, request: Request) -> Response:
        name = _served_name(name, request.headers)
        loaded = self._repository.get(name, version).loaded
        return json_response({"name": name, "version": loaded.version, "ready": True})

    def _index(self, request: Request) -> Response:
        wanted = _json_object(request.body)
        return json_response(metadata.index_to_json(self._repository.index(ready_only=wanted.get("ready") is True)))

    async def _load(self, name: str, order: LoadOrder) -> Response:
        report = await self._repository.load(name, order)
        return json_response({**loading.model_to_json(report.held), "state": "READY", "load_ms": report.load_ms})

    async def _unload(self, name: str) -> Response:
        await self._repository.unload(name)
        return json_response({"name": name, "state": "UNAVAILABLE"})

    def _infer(self, name: str, version: str, request: Request) -> _Found:
        headers = request.headers
        name = _served_name(name, headers)
        self._repository.get(name, version)  # not loaded comes before whatever else may be wrong
        if headers.get("content-encoding", "identity") != "identity":
            return self._infer_inflated(name, version, request)
        wanted = rest.decode_request(request.body, _json_bytes(headers))
        answer = Later(shares=True)

        def on_answer(found: InferResponse | Exception) -> None:
            try:
                response = _failure(request, found) if isinstance(found, Exception) else _inferred(found, wanted)
            except Exception as error:
                response = _failure(request, error)
            answer.give(_finished(request, response))

        answer.cancel = self._inference.ask(name, version, wanted, on_answer).cancel
        return answer

    async def _infer_inflated(self, name: str, version: str, request: Request) -> Response:
        wanted = rest.decode_request(await self._plain(request), _json_bytes(request.headers))
        answer = self._inference.infer(name, version, wanted)
        return _inferred(answer if isinstance(answer, InferResponse) else await answer, wanted)

    async def _infer_stream(self, name: str, version: str, request: Request) -> Response | Streamed:
        """What fails before the first answer is an HTTP error, so that a gateway may ask another replica."""
        name = _served_name(name, request.headers)
        self._repository.get(name, version)
        wanted = events.as_json(rest.decode_request(await self._plain(request), _json_bytes(request.headers)))
        answers = self._inference.stream(name, version, wanted)
        first = await anext(answers, None)
        headers = {"cache-control": "no-cache", **_request_id(request)}
        if first is None:
            return Response(200, b"", EVENTS, headers)
        pieces = events.events(first, answers, wanted, partial(_failure, request))
        return Streamed(EVENTS, pieces, headers)

    async def _plain(self, request: Request) -> bytes:
        """The body, inflated; of several codings the last was applied last."""
        body = request.body
        codings = request.headers.get("content-encoding", "").lower().split(",")
        for coding in reversed([it.strip() for it in codings]):
            if coding in ("", "identity"):
                continue
            if len(body) <= inflating.QUICK_BYTES:
                body = inflating.inflate(body, coding, self._most_body_bytes)
            else:
                body = await asyncio.to_thread(inflating.inflate, body, coding, self._most_body_bytes)
        return body


def _inferred(answer: InferResponse, wanted: InferRequest) -> Response:
    body = rest.encode_response(answer, wanted)
    if body.json_bytes is None:
        return Response(200, body.content)
    return Response(200, body.content, BINARY, {BINARY_HEADER_LENGTH: str(body.json_bytes)})


def _parts(target: str) -> tuple[str, ...]:
    """Of the path, without what frames them."""
    path = target.partition("?")[0]
    if not path.startswith("/"):  # the absolute form, as proxies may send it
        path = "/" + path.partition("://")[2].partition("/")[2]
    if "%" in path:
        path = "/".join(unquote(part).replace("/", "%2F") for part in path.split("/"))
    return tuple(path.rstrip("/").split("/")[1:])


_quick_parts = lru_cache(4096)(_parts)


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


def _finished(request: Request, response: Response) -> Answer:
    """With what every answer has, as the client wants it."""
    headers = request.headers
    if REQUEST_ID in headers:
        response.headers = {**response.headers, **_request_id(request)}
    return compressing.compressed(response, headers) if "accept-encoding" in headers else response


def _request_id(request: Request) -> Mapping[str, str]:
    return {REQUEST_ID: request.headers[REQUEST_ID]} if REQUEST_ID in request.headers else {}
