"""Clients that are slow, silent or gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from modelyard.runtime.http import connections
from modelyard.runtime.http.listener import Listener, listen
from modelyard.runtime.http.messages import json_response
from modelyard.runtime.http.peers import Problem, Watch
from modelyard.runtime.http.reader import Limits
from tests.runtime.http.clients import DEADLINE, Talk, read_all
from tests.runtime.http.test_connection import Handler, get, post

LIMITS = Limits(header_seconds=30, body_seconds=30, body_bytes=1000, unread_seconds=100, idle_seconds=3600)


class Story:
    """A connection that is looked at every second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watch = Watch(0.0)

    def pass_time(self, seconds: int, **state: int) -> Problem | None:
        now_is = {"reading": False, "in_headers": False, "received_bytes": 0, "unread_bytes": 0, "busy": True} | state
        for _ in range(seconds):
            self.now += 1
            if found := self.watch.look(self.now, LIMITS, **now_is):  # type: ignore[arg-type]
                return found
        return None


def test_headers_have_a_time_whatever_comes_of_them():
    story = Story()
    assert story.pass_time(30, reading=True, in_headers=True) is None
    assert story.pass_time(2, reading=True, in_headers=True) is Problem.LATE


def test_the_next_request_has_its_time_to_itself():
    story = Story()
    for _ in range(5):
        assert story.pass_time(25, reading=True, in_headers=True) is None
        story.watch.arrived()


def test_a_body_may_take_for_ever_while_it_makes_progress():
    story = Story()
    for part in range(100):
        assert story.pass_time(25, reading=True, received_bytes=part * 1000) is None
    assert story.pass_time(40, reading=True, received_bytes=99_500) is Problem.LATE


def test_a_body_that_drips_is_given_up():
    story = Story()
    found = [story.pass_time(1, reading=True, received_bytes=second) for second in range(40)]
    assert found.index(Problem.LATE) in range(30, 33)


def test_an_answer_that_is_being_read_may_take_for_ever_and_one_that_is_not_is_cut():
    story = Story()
    for left in range(100, 0, -1):
        assert story.pass_time(50, unread_bytes=left) is None
    assert story.pass_time(120, unread_bytes=1) is Problem.UNREAD


def test_a_silent_connection_is_closed_in_the_end_and_a_busy_one_never():
    story = Story()
    assert story.pass_time(10_000) is None
    assert story.pass_time(3599, busy=False) is None
    assert story.pass_time(3, busy=False) is Problem.IDLE


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture(params=["port", "socket"])
async def listening(
    request, handler: Handler, tmp_path_factory, monkeypatch
) -> AsyncIterator[tuple[Listener, int | Path]]:
    monkeypatch.setattr(connections, "LOOK_EVERY_SECONDS", 0.02)
    path = tmp_path_factory.mktemp("s") / "x"
    limits = Limits(header_seconds=0.2, body_seconds=0.2, unread_seconds=0.3, idle_seconds=0.4, half_closed_seconds=0.2)
    listener = await listen("127.0.0.1", 0, handler, socket_path=path, limits=limits)
    yield listener, listener.port if request.param == "port" else path
    await listener.stop(0)
    assert not path.exists()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("sent", [b"GET / HT", get("/x") + b"GET /", post(b"ab", "content-length: 9")], ids=repr)
async def test_a_request_that_does_not_come_is_answered_and_the_connection_closed(listening, sent: bytes):
    talk = await Talk.to(listening[1])
    talk.send(sent)
    *_, last = read_all(await talk.rest())
    assert (last.status, b"in time" in last.body) == (408, True)


async def test_a_client_who_does_not_read_is_cut_off(listening):
    talk = await Talk.to(listening[1])
    talk.writer.transport.pause_reading()
    talk.send(get("/big") * 20)
    await until(lambda: not listening[0]._connections.all)
    talk.reset()


async def test_an_idle_connection_is_closed_and_a_waiting_one_is_not(listening, handler: Handler):
    waiting, idle = await Talk.to(listening[1]), await Talk.to(listening[1])
    waiting.send(get("/slow"))
    assert await idle.rest() == b""
    handler.release.set()
    await waiting.read_until(b"/slow")
    waiting.writer.close()


async def test_the_requests_of_who_went_away_are_cancelled(listening, handler: Handler):
    talk = await Talk.to(listening[1])
    talk.send(get("/shared") * 3)
    await until(lambda: len(handler.shared) == 3)
    talk.writer.close()
    await until(lambda: len(handler.cancelled) == 3)
    await until(lambda: not listening[0]._connections.all)


async def test_who_only_stops_sending_is_not_worked_for_for_ever(listening, handler: Handler):
    talk = await Talk.to(listening[1])
    talk.send(get("/1") + get("/shared"))
    talk.writer.write_eof()
    assert [it.status for it in read_all(await talk.rest())] == [200]
    assert len(handler.cancelled) == 1


async def test_who_only_stops_sending_is_answered(listening, handler: Handler):
    talk = await Talk.to(listening[1])
    talk.send(get("/shared"))
    talk.writer.write_eof()
    await until(lambda: handler.shared)
    handler.shared[0].give(json_response("here"))
    assert [it.body for it in read_all(await talk.rest())] == [b'"here"']
    assert not handler.cancelled


async def test_a_streamed_answer_ends_when_its_client_goes_away(listening):
    talk = await Talk.to(listening[1])
    talk.send(b"POST /stream HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
    await talk.read_until(b"AB")
    talk.writer.close()
    await until(lambda: not listening[0]._connections.all)
