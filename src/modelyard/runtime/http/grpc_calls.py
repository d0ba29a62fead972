"""gRPC over HTTP/1.1, as Envoy translates it: frames in the body, the status in trailers of the chunked answer.

A call that fails before its first message is answered by headers only, so that a proxy sees what they say.
`ModelInfer` takes the same short way as inference over REST, and shares calls of a model with it.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from typing import Any, TypeAlias

import grpc

from modelyard.kit.errors import ModelyardError, NotSupported
from modelyard.runtime import grpc_methods
from modelyard.runtime.grpc_methods import GrpcMethods, Sent
from modelyard.runtime.http import grpc_frames, inflating
from modelyard.runtime.http.incoming import Incoming
from modelyard.runtime.http.messages import (
    GRPC,
    Answer,
    Later,
    Request,
    Response,
    Streamed,
    error_response,
    later,
    lines,
)
from modelyard.runtime.http.refusals import grpc_refusal, grpc_status, is_grpc
from modelyard.wire import service

PREFIX = f"/{service.INFERENCE}/"
_STREAM = PREFIX + "ModelStreamInfer"
_OK: Mapping[str, str] = {"grpc-status": "0"}
_OK_LINES = lines(_OK)
_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
# Compressing or inflating no more than this takes no thread.
_QUICK_BYTES = inflating.QUICK_BYTES

_Pieces: TypeAlias = AsyncIterator[bytes | Mapping[str, str]]


class GrpcCalls:
    """The part of a listener's handler for targets that begin with `PREFIX`."""

    def __init__(self, methods: GrpcMethods, most_bytes: int) -> None:
        self._methods = methods
        self._most_bytes = most_bytes
        self._codecs = service.codecs(service.INFERENCE)
        self._infer_codec = self._codecs["ModelInfer"]

    def streams(self, target: str) -> bool:
        return target == _STREAM

    def answer(self, request: Request) -> Answer:
        sent = request.headers
        if (wrong := _not_a_call(request)) is not None:
            return wrong
        rpc = request.target[len(PREFIX) :]
        if rpc == "ModelInfer" and sent.get("grpc-encoding", grpc_frames.IDENTITY) == grpc_frames.IDENTITY:
            try:
                message = grpc_frames.plain(*grpc_frames.only(request.body), grpc_frames.IDENTITY, self._most_bytes)
                return self._infer(self._infer_codec.decode(message), sent)
            except Exception as error:
                return _refused(error, sent)
        if request.incoming is not None:
            work = self._stream(request.incoming, sent)
            return later(self._in_time(work, sent), work)
        if rpc in self._codecs:
            call = self._unary(rpc, request)
            return later(self._in_time(call, sent), call)
        return grpc_refusal(grpc.StatusCode.UNIMPLEMENTED, f"there is no method {rpc} in {service.INFERENCE}")

    # ModelInfer, the short way

    def _infer(self, message: Any, sent: Sent) -> Later:
        answer = Later(shares=True)
        seconds = _seconds_left(sent)
        timer: asyncio.TimerHandle | None = None

        def on_answer(found: Any) -> None:
            if timer is not None:
                timer.cancel()
            if isinstance(found, Exception):
                answer.give(_refused(found, sent))
                return
            try:
                framed = grpc_frames.frame(self._infer_codec.encode(found))
            except Exception as error:
                answer.give(_refused(error, sent))
                return
            answer.give(Response(200, framed, GRPC, grpc_methods.echoed(sent), _OK_LINES))

        cancel = self._methods.ask(message, sent, on_answer)

        def late() -> None:
            cancel()
            answer.give(_late())

        def unwanted() -> None:
            cancel()
            if timer is not None:
                timer.cancel()

        if seconds is not None:
            timer = asyncio.get_running_loop().call_later(seconds, late)
        answer.cancel = cancel if timer is None else unwanted
        return answer

    # Everything else

    async def _in_time(self, work: "Awaitable[Response | Streamed]", sent: Sent) -> Response | Streamed:
        try:
            async with asyncio.timeout(_seconds_left(sent)) as limit:
                return await work
        except TimeoutError:
            return _late() if limit.expired() else _refused(ModelyardError("the call took too long"), sent)
        except Exception as error:
            return _refused(error, sent)

    async def _unary(self, rpc: str, request: Request) -> Response:
        sent, codec = request.headers, self._codecs[rpc]
        message = codec.decode(await self._plain(*grpc_frames.only(request.body), sent))
        if rpc == "ModelInfer":
            found: Any = await self._methods.infer(message, sent)
        else:
            found = await getattr(self._methods, rpc)(message, sent)
        framed, headers = await _packed(codec.encode(found), sent)
        return Response(200, framed, GRPC, headers, _OK_LINES)

    async def _stream(self, incoming: Incoming, sent: Sent) -> Response | Streamed:
        answers = self._methods.stream(self._messages(incoming, sent), sent)
        try:
            first = await anext(answers, None)
        except BaseException:
            incoming.drop()
            await answers.aclose()
            raise
        if first is None:
            return Response(200, b"", GRPC, {**grpc_methods.echoed(sent), **_OK})
        ends_at = None if (left := _seconds_left(sent)) is None else asyncio.get_running_loop().time() + left
        pieces = self._pieces(first, answers, incoming, sent, ends_at)
        return Streamed(GRPC, pieces, {**grpc_methods.echoed(sent), **_coding_header(sent)})

    async def _messages(self, incoming: Incoming, sent: Sent) -> AsyncIterator[Any]:
        frames = grpc_frames.Frames(self._most_bytes)
        decode = self._infer_codec.decode
        async for piece in incoming:
            for flag, content in frames.feed(piece):
                yield decode(await self._plain(flag, content, sent))
        frames.end()

    async def _pieces(
        self, first: Any, answers: AsyncGenerator[Any, None], incoming: Incoming, sent: Sent, ends_at: float | None
    ) -> _Pieces:
        encode = self._infer_codec.encode
        answer = first
        try:
            while answer is not None:
                yield (await _packed(encode(answer), sent))[0]
                async with asyncio.timeout_at(ends_at) as limit:
                    answer = await anext(answers, None)
            yield _OK
        except TimeoutError:
            late = _late() if limit.expired() else _refused(ModelyardError("the call took too long"), sent)
            yield late.headers
        except Exception as error:
            found = grpc_methods.refusal(error, sent)
            yield {**grpc_status(service.status_code(found.error), str(found.error)), **found.trailers}
        finally:
            incoming.drop()
            await answers.aclose()

    async def _plain(self, flag: int, message: bytes, sent: Sent) -> bytes:
        coding = sent.get("grpc-encoding", grpc_frames.IDENTITY)
        if flag == 0 or len(message) <= _QUICK_BYTES:
            return grpc_frames.plain(flag, message, coding, self._most_bytes)
        return await asyncio.to_thread(grpc_frames.plain, flag, message, coding, self._most_bytes)


async def _packed(message: bytes, sent: Sent) -> tuple[bytes, dict[str, str]]:
    """The frame, and the headers of its answer: compressed as the request was, where the client reads that."""
    headers = {**grpc_methods.echoed(sent), **_coding_header(sent)}
    coding = headers.get("grpc-encoding", grpc_frames.IDENTITY)
    if coding == grpc_frames.IDENTITY or len(message) <= _QUICK_BYTES:
        return grpc_frames.frame(message, coding), headers
    return await asyncio.to_thread(grpc_frames.frame, message, coding), headers


def _coding_header(sent: Sent) -> dict[str, str]:
    coding = sent.get("grpc-encoding", grpc_frames.IDENTITY)
    reads = {it.strip() for it in sent.get("grpc-accept-encoding", "").split(",")}
    usable = coding in grpc_frames.CODINGS and coding != grpc_frames.IDENTITY and coding in reads
    return {"grpc-encoding": coding} if usable else {}


def _seconds_left(sent: Sent) -> float | None:
    """None where the client waits for as long as it takes, or says nonsense."""
    text = sent.get("grpc-timeout")
    if text is None or (found := _TIMEOUT.fullmatch(text)) is None:
        return None
    return int(found[1]) * _UNITS[found[2]]


def _not_a_call(request: Request) -> Response | None:
    if request.method != "POST" or not is_grpc(request.headers):
        return error_response(415, f"{request.target} is gRPC: POST with the content-type {GRPC} is wanted")
    if request.http_1_0:
        return error_response(505, "gRPC needs HTTP/1.1")
    kind = request.headers["content-type"].partition(";")[0].strip()
    if kind not in (GRPC, f"{GRPC}+proto"):
        return error_response(415, f"gRPC messages are protobuf here, not {kind}")
    return None


def _refused(error: Exception, sent: Sent) -> Response:
    found = grpc_methods.refusal(error, sent)
    trailers = dict(found.trailers)
    if isinstance(error, NotSupported):
        trailers["grpc-accept-encoding"] = ",".join(grpc_frames.CODINGS)
    return grpc_refusal(service.status_code(found.error), str(found.error), trailers)


def _late() -> Response:
    return grpc_refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline of the call has passed")
