"""Background tasks: ended together, and never silently failed."""

import asyncio
import logging

import pytest

from modelyard.kit.tasks import TaskSet


async def test_cancel_ends_all_and_waits_until_they_have_cleaned_up() -> None:
    cleaned: list[int] = []

    async def work(n: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(n)

    tasks = TaskSet()
    for n in range(3):
        tasks.start(work(n), name=f"work {n}")
    await asyncio.sleep(0)
    await tasks.cancel()
    assert sorted(cleaned) == [0, 1, 2]


async def test_a_failure_is_logged_with_the_name_of_its_task(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    tasks = TaskSet()
    task = tasks.start(fail(), name="the failing one")
    await asyncio.wait([task])
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "task the failing one failed")
    await tasks.cancel()


async def test_a_task_that_cancels_the_others_is_not_cancelled_itself() -> None:
    tasks = TaskSet()
    tasks.start(asyncio.Event().wait(), name="other")

    async def end() -> str:
        await tasks.cancel()
        return "done"

    assert await tasks.start(end(), name="ending") == "done"
