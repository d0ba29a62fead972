"""The one writer of the scheduler's state: order, waiting, and a disk that fails for a while."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.kit.errors import InvalidInput, Unavailable
from modelyard.scheduler import core
from modelyard.scheduler.messages import ModelAnswer, ModelApplied
from tests.scheduler.rig import PATIENCE, Rig, agent, load_request, scheduler, until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with scheduler(tmp_path) as it:
        yield it


def full(rig: Rig) -> None:
    """No more room on the disk, as SQLite sees it."""
    rig.journal._db.execute("PRAGMA max_page_count = 1")


def room(rig: Rig) -> None:
    rig.journal._db.execute("PRAGMA max_page_count = 1000000")


def applied(name: str, uri: str = "file:///m") -> Model:
    return Model(name, ModelSpec(Artifact(uri)))


async def ask(rig: Rig, it: Model) -> ModelAnswer:
    answer = await rig.core.ask(lambda ticket: ModelApplied(it, ticket, "test"))
    assert isinstance(answer, ModelAnswer)
    return answer


async def test_an_error_is_raised_where_it_is_asked(rig: Rig) -> None:
    with pytest.raises(InvalidInput, match="not a valid name"):
        await ask(rig, applied("No Good"))


async def test_many_who_ask_at_once_are_each_answered_with_their_own(rig: Rig) -> None:
    answers = await asyncio.gather(*(ask(rig, applied(f"m{n}", f"file:///{n % 7}")) for n in range(2000)))
    assert [it.version for it in answers] == [1] * 2000
    assert len(rig.journal.read().models) == 2000


async def test_who_gives_up_asking_leaves_nothing_behind(rig: Rig) -> None:
    asking = asyncio.ensure_future(ask(rig, applied("iris")))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await ask(rig, applied("wine"))
    assert rig.core._waiting == {}


async def test_while_the_disk_is_full_nothing_is_acknowledged_and_then_it_goes_on(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await ask(rig, applied("before"))
    full(rig)
    asking = [asyncio.ensure_future(ask(rig, applied(f"m{n}", "x" * 9000))) for n in range(3)]
    await until(lambda: bool(rig.core.trouble), "no trouble is told")
    assert "the journal cannot be written" in rig.core.trouble
    assert "full" in rig.core.trouble
    assert not any(it.done() for it in asking)
    assert len(rig.journal.read().models) == 1
    room(rig)
    answers = await asyncio.wait_for(asyncio.gather(*asking), PATIENCE)
    assert {it.version for it in answers} == {1}
    assert not rig.core.trouble
    assert len(rig.journal.read().models) == 4
    said = [record.getMessage() for record in caplog.records]
    assert sum("cannot write the journal" in it for it in said) == 1, "said once, not with every try"
    assert "the journal can be written again" in said


async def test_no_agent_hears_of_what_is_not_written_down(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        await rig.available_server()
        full(rig)
        loading = asyncio.ensure_future(rig.api.LoadModel(load_request("iris", uri="x" * 9000)))
        await until(lambda: bool(rig.core.trouble), "no trouble is told")
        assert peer.told() == []
        room(rig)
        await asyncio.wait_for(loading, PATIENCE)
        await rig.available("iris")


async def test_a_caller_whose_time_is_up_while_the_disk_is_full_does_not_hold_up_the_others(rig: Rig) -> None:
    full(rig)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rig.api.LoadModel(load_request("iris", uri="x" * 9000), timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    room(rig)
    await asyncio.wait_for(ask(rig, applied("wine")), PATIENCE)


async def test_who_asks_while_the_disk_is_full_is_told_so_in_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "TROUBLE_SECONDS", 0.1)
    full(rig)
    with pytest.raises(Unavailable, match=r"the journal cannot be written .* takes effect then"):
        await asyncio.wait_for(ask(rig, applied("late", "x" * 9000)), PATIENCE)
    room(rig)
    await until(lambda: not rig.core.trouble, "the trouble is not over")
    await asyncio.wait_for(ask(rig, applied("next")), PATIENCE)
    assert {it.name for it in rig.journal.read().models} == {"late", "next"}


async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with scheduler(tmp_path) as before:
        for n in range(3):
            await ask(before, applied("iris", f"file:///{n}"))
    async with scheduler(tmp_path) as after:
        assert (await ask(after, applied("iris", "file:///2"))).version == 3
        assert (await ask(after, applied("iris", "file:///new"))).version == 4
