"""Whatever arrives, in whatever pieces: each request is answered in its order, nothing hangs, and nothing breaks.

A conversation is a row of messages, some right and some wrong in a known or an unknown way, cut anywhere. The real
server answers with a real model.
"""

import asyncio
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.runtime import server
from modelyard.runtime.http.reader import Limits
from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from tests.runtime import artifacts
from tests.runtime.http.clients import DEADLINE, Seen, Talk, read_all

LIMITS = Limits(most_body_bytes=5000, half_closed_seconds=20)


@dataclass
class Running:
    """One server for all conversations, in a loop of its own. `faults`: what the loop or the server complained of."""

    runner: asyncio.Runner
    server: server.Server
    socket: Path
    faults: list[str] = field(default_factory=list)

    def talk(self, pieces: Sequence[bytes], by_socket: bool) -> list[Seen]:
        return self.runner.run(self._talk(pieces, self.socket if by_socket else self.server.http_port))

    async def _talk(self, pieces: Sequence[bytes], where: int | Path) -> list[Seen]:
        talk = await Talk.to(where)
        try:
            for piece in pieces:
                talk.send(piece)
                await asyncio.sleep(0)
            if talk.writer.can_write_eof():
                talk.writer.write_eof()
            return read_all(await talk.rest())
        finally:
            talk.writer.close()


class Complaints(logging.Handler):
    def __init__(self, faults: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        self._faults.append(record.getMessage())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("fuzz")
    artifacts.file(folder, "models/same/model.onnx", artifacts.identity("FP32"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        chosen = server.Settings(folder / "models", unix_socket=folder / "s", limits=LIMITS)
        started = runner.run(server.start(chosen))
        runner.run(started.repository.load("same"))
        it = Running(runner, started, folder / "s")
        runner.get_loop().set_exception_handler(lambda _, context: it.faults.append(str(context)))
        handler = Complaints(it.faults)
        logging.getLogger("modelyard").addHandler(handler)
        yield it
        logging.getLogger("modelyard").removeHandler(handler)
        runner.run(started.stop())


# -- messages: (bytes, the status it is answered by, gRPC's where it is gRPC); None: whatever it is, the last answer

Message = tuple[bytes, str | None]


def http(method: str, target: str, body: bytes = b"", chunked: Sequence[int] = (), **headers: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    if chunked:
        edges = [0, *sorted(min(cut, len(body)) for cut in chunked), len(body)]
        parts = [body[a:b] for a, b in itertools.pairwise(edges) if a < b]
        body = b"".join(b"%x;x=y\r\n%b\r\n" % (len(it), it) for it in parts) + b"0\r\nX-Trailer: 1\r\n\r\n"
        lines.append("Transfer-Encoding: chunked")
    else:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def rest_body(values: Sequence[float]) -> bytes:
    tensor = {"name": "x", "shape": [len(values)], "datatype": "FP32", "data": list(values)}
    return json.dumps({"inputs": [tensor]}).encode()


def frame(values: Sequence[float], name: str = "same") -> bytes:
    message = pb.ModelInferRequest(model_name=name)
    tensor = message.inputs.add(name="x", datatype="FP32", shape=[len(values)])
    tensor.contents.fp32_contents.extend(values)
    raw = message.SerializeToString()
    return b"\0" + len(raw).to_bytes(4) + raw


INFER = "/v2/models/same/infer"
RPC = "/inference.GRPCInferenceService/"
GRPC = {"content_type": "application/grpc", "te": "trailers"}
FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=5)
CHUNKS = st.lists(st.integers(0, 200), max_size=3)


def _rest(values: Sequence[float], chunks: Sequence[int]) -> Message:
    return http("POST", INFER, rest_body(values), chunks), "200"


def _events(values: Sequence[float]) -> Message:
    return http("POST", INFER + "_stream", rest_body(values)), "200"


def _rpc(values: Sequence[float], chunks: Sequence[int], timeout: str) -> Message:
    return http("POST", RPC + "ModelInfer", frame(values), chunks, **GRPC, grpc_timeout=timeout), "grpc 0"


def _stream(messages: Sequence[Sequence[float]], chunks: Sequence[int]) -> Message:
    body = b"".join(map(frame, messages))
    return http("POST", RPC + "ModelStreamInfer", body, chunks, **GRPC), "grpc 0"


RIGHT = st.one_of(
    st.builds(_rest, FLOATS, CHUNKS),
    st.builds(_events, FLOATS),
    st.builds(_rpc, FLOATS, CHUNKS, st.sampled_from(["20S", "99999999H", "nonsense"])),
    st.builds(_stream, st.lists(FLOATS, max_size=4), CHUNKS),
    st.sampled_from(
        [
            (http("GET", "/v2/health/live"), "200"),
            (http("GET", f"http://x{INFER}"), "405"),
            (http("POST", RPC + "ServerLive", b"\0\0\0\0\0", **GRPC), "grpc 0"),
        ]
    ),
)
# Refused, and the connection goes on.
WRONG = st.sampled_from(
    [
        (http("POST", INFER, b"{}"), "400"),
        (http("POST", INFER, b"\xff", content_encoding="gzip"), "400"),
        (http("POST", INFER, rest_body([1]), inference_header_content_length="99"), "400"),
        (http("POST", "/v2/models/other/infer", rest_body([1])), "404"),
        (http("PUT", "/v2"), "405"),
        (http("POST", RPC + "ModelInfer", frame([1], "other"), **GRPC), "grpc 5"),
        (http("POST", RPC + "ModelInfer", b"\0\0\0\0\1", **GRPC), "grpc 13"),
        (http("POST", RPC + "ModelInfer", b"\0\0\0\0\1\xff", **GRPC), "grpc 3"),
        (http("POST", RPC + "ModelInfer", b"\1" + frame([1])[1:], **GRPC), "grpc 13"),
        (http("POST", RPC + "ModelInfer", b"\1" + frame([1])[1:], **GRPC, grpc_encoding="br"), "grpc 12"),
        (http("POST", RPC + "Nothing", frame([1]), **GRPC), "grpc 12"),
        (http("POST", RPC + "ModelInfer", frame([1])), "415"),
    ]
)
# Nothing that follows can be trusted.
LAST = st.one_of(
    st.binary(min_size=1, max_size=60),
    RIGHT.flatmap(lambda it: st.integers(1, len(it[0]) - 1).map(lambda cut: it[0][:cut])),
    st.builds(
        lambda it, place, junk: it[0][: place % len(it[0])] + junk + it[0][place % len(it[0]) :],
        RIGHT,
        st.integers(0, 1000),
        st.binary(min_size=1, max_size=5),
    ),
    st.sampled_from(
        [
            http("POST", INFER, b"x" * 6000),
            http("GET", "/" + "y" * 70_000),
            http("POST", RPC + "ModelStreamInfer", b"\0\xff\xff\xff\xff", **GRPC),
            http("POST", RPC + "ModelStreamInfer", frame([1]) + b"\0\0", **GRPC),
            b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
        ]
    ),
)


def said(answer: Seen) -> str:
    told = {**answer.headers, **answer.trailers}
    return f"grpc {told['grpc-status']}" if "grpc-status" in told else str(answer.status)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=150
)
@given(
    messages=st.lists(RIGHT | WRONG, max_size=8),
    last=st.none() | LAST,
    places=st.lists(st.integers(0, 5000), max_size=12),
    by_socket=st.booleans(),
)
def test_any_conversation_is_answered_in_order_and_ends(
    running: Running, messages: list[Message], last: bytes | None, places: list[int], by_socket: bool
):
    whole = b"".join(it for it, _ in messages) + (last or b"")
    answers = [said(it) for it in running.talk(cut(whole, places), by_socket)]
    wanted = [status for _, status in messages]
    assert answers[: len(wanted)] == wanted
    if last is None:
        assert len(answers) == len(wanted)
    assert not running.faults
    assert not [it for it in answers if it == "500"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(whole=st.binary(max_size=300), places=st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_are_answered_or_not_and_the_connection_ends(running: Running, whole: bytes, places: list[int]):
    assert all(400 <= it.status < 500 for it in running.talk(cut(whole, places), by_socket=False))
    assert not running.faults


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(messages=st.lists(RIGHT | WRONG, min_size=1, max_size=6), place=st.integers(0, 5000), by_socket=st.booleans())
def test_who_goes_away_at_any_moment_leaves_nothing_behind(
    running: Running, messages: list[Message], place: int, by_socket: bool
):
    async def leave() -> None:
        talk = await Talk.to(running.socket if by_socket else running.server.http_port)
        talk.send(b"".join(it for it, _ in messages)[:place])
        await asyncio.sleep(0)
        talk.reset()
        connections: Any = running.server._http._connections
        async with asyncio.timeout(DEADLINE):
            await connections.none.wait()
            while running.server.repository.get("same").requests:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    running.runner.run(leave())
    assert not running.faults
