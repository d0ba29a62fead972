"""HTTP/1.1 on a raw socket: order, pieces, and what is wrong."""

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.kit.errors import Refused
from modelyard.runtime.http.listener import Listener, listen
from modelyard.runtime.http.messages import (
    Answer,
    Later,
    Request,
    Response,
    Streamed,
    json_response,
    later,
)
from modelyard.runtime.http.reader import Limits
from tests.runtime.http.clients import Talk, read_all

DEADLINE = 20


class Handler:
    """Echoes. /slow waits for `release`, /big answers with many bytes, /shared when a test gives one of
    `shared` its answer, and /stream with each piece of the body in capitals, as it comes."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.seen: list[Request] = []
        self.shared: list[Later] = []
        self.cancelled: list[Request] = []
        self._arrivals: asyncio.Queue[Request] = asyncio.Queue()

    def streams(self, target: str) -> bool:
        return target == "/stream"

    def answer(self, request: Request) -> Answer:
        self.seen.append(request)
        self._arrivals.put_nowait(request)
        if request.target == "/slow":
            return later(self._slow(request))
        if request.target == "/shared":
            self.shared.append(Later(lambda: self.cancelled.append(request), shares=True))
            return self.shared[-1]
        if request.incoming is not None:
            return later(self._stream(request))
        if request.target == "/big":
            return Response(200, b"x" * (4 << 20))
        return json_response({"target": request.target, "body": request.body.decode("latin-1")})

    async def until_seen(self, count: int) -> None:
        for _ in range(count):
            await self._arrivals.get()

    async def _stream(self, request: Request) -> Streamed:
        async def pieces():
            assert request.incoming is not None
            async for piece in request.incoming:
                if piece == b"fail":
                    raise RuntimeError("as asked")
                yield piece.upper()
            yield {"x-end": "yes"}

        return Streamed("text/plain", pieces())

    async def _slow(self, request: Request) -> Response:
        await self.release.wait()
        return json_response({"target": request.target})


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
async def listener(handler: Handler) -> AsyncIterator[Listener]:
    listening = await listen("127.0.0.1", 0, handler, limits=Limits(most_body_bytes=1000))
    yield listening
    await listening.stop(0)


async def talk(listener: Listener, *pieces: bytes, end: bool = True) -> bytes:
    """Send the pieces one by one, end the sending side, and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        async with asyncio.timeout(DEADLINE):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if end:
                writer.write_eof()
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def get(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "host: x", *headers, "", ""]).encode()


def post(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["POST /p HTTP/1.1", "host: x", *headers, "", ""]).encode() + body


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


async def test_pipelined_requests_are_answered_in_their_order(listener: Listener, handler: Handler):
    sent = asyncio.create_task(talk(listener, get("/1") + get("/slow") + get("/2") + get("/3")))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(2)
    handler.release.set()
    answer = await sent
    places = [answer.index(f'"target":"/{name}"'.encode()) for name in ("1", "slow", "2", "3")]
    assert places == sorted(places)
    assert statuses(answer) == [200] * 4


async def test_requests_behind_one_that_shares_a_call_are_asked_at_once_and_answered_in_order(
    listener: Listener, handler: Handler
):
    sent = asyncio.create_task(talk(listener, get("/shared") * 2 + get("/plain") + get("/shared")))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(4)
    for place in (2, 0, 1):
        handler.shared[place].give(json_response({"shared": place}))
        await asyncio.sleep(0)
    answer = await sent
    wanted = (b'"shared":0', b'"shared":1', b'"target":"/plain"', b'"shared":2')
    places = [answer.index(it) for it in wanted]
    assert places == sorted(places)
    assert statuses(answer) == [200] * 4


async def test_what_is_behind_any_other_slow_request_waits_for_it(listener: Listener, handler: Handler):
    sent = asyncio.create_task(talk(listener, get("/shared") + get("/slow") + get("/shared")))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(2)
        handler.shared[0].give(json_response({}))
        await asyncio.sleep(0.01)
        assert len(handler.shared) == 1
        handler.release.set()
        await handler.until_seen(1)
    handler.shared[1].give(json_response({}))
    assert statuses(await sent) == [200] * 3


async def test_what_is_behind_the_last_request_of_a_connection_is_not_asked(listener: Listener, handler: Handler):
    sent = asyncio.create_task(talk(listener, get("/shared", "connection: close") + get("/shared")))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(1)
    handler.shared[0].give(json_response({}))
    assert statuses(await sent) == [200]
    assert len(handler.shared) == 1


async def test_a_bad_request_is_answered_after_those_that_share_a_call(listener: Listener, handler: Handler):
    sent = asyncio.create_task(talk(listener, get("/shared") + b"nonsense\r\n\r\n", end=False))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(1)
    handler.shared[0].give(json_response({}))
    assert statuses(await sent) == [200, 400]


async def test_a_listener_that_stops_answers_those_that_share_a_call(handler: Handler):
    listening = await listen("127.0.0.1", 0, handler)
    sent = asyncio.create_task(talk(listening, get("/shared") * 2, end=False))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(2)
    stopping = asyncio.create_task(listening.stop(DEADLINE))
    await asyncio.sleep(0)
    for it in handler.shared:
        it.give(json_response({}))
        await asyncio.sleep(0.01)
    await stopping
    assert statuses(await sent) == [200, 200]


async def test_an_answer_for_a_client_who_went_away_is_dropped(listener: Listener, handler: Handler):
    sent = asyncio.create_task(talk(listener, get("/shared") * 2, end=False))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(2)
    sent.cancel()
    await asyncio.gather(sent, return_exceptions=True)
    await asyncio.sleep(0.01)
    for it in handler.shared:
        it.give(json_response({}))
    assert statuses(await talk(listener, get("/1"))) == [200]


async def test_many_pipelined_requests_are_all_answered(listener: Listener):
    assert statuses(await talk(listener, get("/n") * 1000)) == [200] * 1000


async def test_large_answers_wait_for_a_slow_reader(listener: Listener):
    answer = await talk(listener, get("/big") * 8)
    assert answer.count(b"x" * 1000) == 8 * ((4 << 20) // 1000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_a_request_may_come_in_any_pieces(cuts: list[int]):
    message = post(b"hello", "content-length: 5") + post(
        b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "transfer-encoding: chunked"
    )
    edges = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]

    async def run() -> bytes:
        listening = await listen("127.0.0.1", 0, Handler())
        try:
            return await talk(listening, *(message[a:b] for a, b in pairwise(edges)))
        finally:
            await listening.stop(0)

    answer = asyncio.run(run())
    assert statuses(answer) == [200, 200]
    assert answer.count(b'"body":"hello"') == 2


async def test_a_client_that_expects_100_gets_it_before_it_sends(listener: Listener):
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    async with asyncio.timeout(DEADLINE):
        writer.write(post(b"", "content-length: 2", "expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("message", "status", "says"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, b"not an HTTP/1.1 request", id="nonsense"),
        pytest.param(b"\x16\x03\x01\x02\x00", 400, b"not an HTTP/1.1 request", id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, b"", id="HTTP/2"),
        pytest.param(post(b"", "content-length: 5", "content-length: 6"), 400, b"", id="two lengths"),
        pytest.param(post(b"", "content-length: x"), 400, b"", id="a length that is no number"),
        pytest.param(post(b"z\r\n", "transfer-encoding: chunked"), 400, b"", id="a chunk size that is no number"),
        pytest.param(post(b"", "content-length: 1001"), 413, b"larger than 1000 bytes", id="announced too large"),
        pytest.param(
            post(b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n", "transfer-encoding: chunked"),
            413,
            b"larger than 1000 bytes",
            id="too large in chunks",
        ),
        pytest.param(get("/", "x: " + "y" * 70000), 431, b"the headers take more", id="huge headers"),
        pytest.param(post(b"half", "content-length: 9"), 400, b"in the middle of a request", id="cut off"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nhost: x\r\n\r\nmore", 200, b"", id="CONNECT is the handler's business"),
    ],
)
async def test_what_cannot_be_understood_is_answered_and_then_closed(listener: Listener, message, status, says):
    answer = await talk(listener, get("/before") + message)
    assert statuses(answer) == [200, status]
    assert says in answer
    assert b"connection: close" in answer


async def test_an_upgrade_is_ignored_and_the_request_answered(listener: Listener):
    answer = await talk(listener, get("/", "connection: upgrade", "upgrade: h2c"), end=False)
    assert statuses(answer) == [200]


async def test_a_connection_is_kept_or_closed_as_the_client_asks(listener: Listener):
    assert b"connection: close" in await talk(listener, get("/", "connection: close"), end=False)
    old = await talk(listener, b"GET / HTTP/1.0\r\n\r\n", end=False)
    assert b"connection: close" in old
    kept = await talk(listener, b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n" * 2)
    assert kept.count(b"connection: keep-alive") == 2


async def test_the_last_of_equal_headers_wins(listener: Listener, handler: Handler):
    await talk(listener, get("/", "X-A: 1", "x-a: 2"))
    assert handler.seen[0].headers["x-a"] == "2"


async def test_stopping_answers_what_is_in_flight_and_closes_the_idle(handler: Handler):
    listening = await listen("127.0.0.1", 0, handler)
    idle = asyncio.create_task(talk(listening, get("/1"), end=False))
    busy = asyncio.create_task(talk(listening, get("/slow"), end=False))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(2)
        stopping = asyncio.create_task(listening.stop(DEADLINE))
        assert statuses(await idle) == [200]
        assert not busy.done()
        handler.release.set()
        assert statuses(await busy) == [200]
        await stopping


async def test_stopping_does_not_wait_for_ever(handler: Handler):
    listening = await listen("127.0.0.1", 0, handler)
    busy = asyncio.create_task(talk(listening, get("/slow"), end=False))
    async with asyncio.timeout(DEADLINE):
        await handler.until_seen(1)
        await listening.stop(0)
        outcome = (await asyncio.gather(busy, return_exceptions=True))[0]
    assert outcome == b"" or isinstance(outcome, ConnectionError)


async def test_a_busy_port_is_refused_in_one_sentence(listener: Listener):
    with pytest.raises(Refused, match=f"cannot listen on 127.0.0.1:{listener.port}"):
        await listen("127.0.0.1", listener.port, Handler())


STREAM = b"POST /stream HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_a_stream_is_answered_piece_by_piece_and_ends_with_trailers(listener: Listener):
    talk = await Talk.to(listener.port)
    talk.send(get("/1") + STREAM)
    await talk.read_until(b'"/1","body":""}')
    talk.send(b"1\r\na\r\n")
    assert await talk.read_until(b"\r\nA\r\n")
    talk.send(b"1;ext=1\r\nb\r\n")
    assert await talk.read_until(b"1\r\nB\r\n")
    talk.send(b"0\r\nx-t: 1\r\n\r\n" + get("/2"))
    assert await talk.read_until(b"0\r\nx-end: yes\r\n\r\n")
    assert b"200 OK" in await talk.read_until(b'"/2","body":""}')
    talk.writer.close()


async def test_a_stream_that_fails_breaks_off_and_does_not_look_whole(listener: Listener):
    talk = await Talk.to(listener.port)
    talk.send(STREAM + b"1\r\na\r\n")
    await talk.read_until(b"\r\nA\r\n")
    talk.send(b"4\r\nfail\r\n")
    assert b"0\r\n" not in await talk.rest()


async def test_a_stream_to_a_slow_reader_stops_taking(listener: Listener):
    talk = await Talk.to(listener.port)
    talk.send(STREAM + (b"10000\r\n" + b"x" * (1 << 16) + b"\r\n") * 500 + b"0\r\n\r\n")
    talk.writer.write_eof()
    (answer,) = read_all(await talk.rest())
    assert len(answer.body) == 500 << 16


async def test_http_1_0_gets_a_stream_to_the_end_of_the_connection(listener: Listener):
    answer = await talk(listener, b"POST /stream HTTP/1.0\r\ncontent-length: 2\r\n\r\nab", end=False)
    assert answer.endswith(b"\r\n\r\nAB")
    assert b"chunked" not in answer
