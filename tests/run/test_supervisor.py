"""The supervisor over real child processes."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from modelyard.kit.errors import Unavailable
from modelyard.run import processes
from modelyard.run.supervisor import PartSpec, Supervised, Supervisor

DEADLINE_SECONDS = 30.0
SLEEPS = "import time; time.sleep(600)"


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path)
    yield supervisor
    supervisor.kill_all()
    await supervisor.end(*supervisor.parts)
    assert not supervisor.running()


def python(code: str, *, name: str = "part", ready_file: Path | None = None, tries: int = 3) -> PartSpec:
    async def is_ready() -> bool:
        return ready_file is None or ready_file.exists()

    return PartSpec(name, (sys.executable, "-c", code), is_ready, tries=tries)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110  # it looks at another process
            await asyncio.sleep(0.02)


def pid_of(part: Supervised) -> int:
    assert part.part is not None
    return part.part.pid


async def test_a_part_is_ready_when_it_says_so(supervisor: Supervisor, tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    part = supervisor.start(python(f"open({str(flag)!r}, 'w').close(); {SLEEPS}", ready_file=flag))
    await part.wait_ready(DEADLINE_SECONDS)
    assert [it.name for it in supervisor.running()] == ["part"]


async def test_a_killed_part_starts_again_and_that_is_said(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    part = supervisor.start(python(SLEEPS))
    await part.wait_ready(DEADLINE_SECONDS)
    first = pid_of(part)
    os.kill(first, signal.SIGKILL)
    await until(lambda: part.part is not None and part.part.pid != first)
    assert part.restarts == 1
    assert "part was killed by SIGKILL; starting it again in" in caplog.text


async def test_a_part_that_cannot_start_fails_with_its_last_words(supervisor: Supervisor) -> None:
    part = supervisor.start(python("raise SystemExit('no such flag: --colour')", ready_file=Path("/nowhere"), tries=2))
    with pytest.raises(Unavailable, match=r"(?s)part ended with exit code 1 before it was ready.*no such flag: --col"):
        await part.wait_ready(DEADLINE_SECONDS)


async def test_a_part_that_is_never_ready_runs_out_of_time(supervisor: Supervisor) -> None:
    part = supervisor.start(python(SLEEPS, ready_file=Path("/nowhere")))
    with pytest.raises(Unavailable, match=r"part is not ready after 0 s"):
        await part.wait_ready(0.2)


async def test_a_part_that_keeps_dying_is_started_less_and_less_often(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    part = supervisor.start(python("raise SystemExit(1)", ready_file=Path("/nowhere")))
    await until(lambda: part.restarts >= 4)
    waits = [float(it) for it in re.findall(r"starting it again in ([0-9.]+) s", caplog.text)]
    assert waits[2] > 2 * waits[0]


async def test_a_part_that_was_well_for_a_while_starts_again_at_once(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.run.supervisor.STABLE_SECONDS", 0.0)
    part = supervisor.start(python("raise SystemExit(1)", ready_file=Path("/nowhere")))
    await until(lambda: part.restarts >= 4)
    waits = [float(it) for it in re.findall(r"starting it again in ([0-9.]+) s", caplog.text)]
    assert set(waits) <= {0.1, 0.2}


async def test_ending_a_part_leaves_no_process(supervisor: Supervisor) -> None:
    part = supervisor.start(python(SLEEPS))
    await part.wait_ready(DEADLINE_SECONDS)
    pid = pid_of(part)
    await supervisor.end("part")
    assert not psutil.pid_exists(pid)
    assert not supervisor.parts


async def test_a_part_that_ignores_sigterm_is_killed(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.run.supervisor.PATIENCE_SECONDS", 0.3)
    flag = tmp_path / "ready"
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(flag)!r}, 'w').close(); {SLEEPS}"
    part = supervisor.start(python(deaf, ready_file=flag))
    await part.wait_ready(DEADLINE_SECONDS)
    pid = pid_of(part)
    await supervisor.end("part")
    assert not psutil.pid_exists(pid)


async def test_what_a_dead_part_had_started_does_not_outlive_it(supervisor: Supervisor, tmp_path: Path) -> None:
    flag = tmp_path / "pid"
    code = (
        "import subprocess, sys, os; it = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f"open({str(flag)!r} + '.new', 'w').write(str(it.pid)); os.rename({str(flag)!r} + '.new', {str(flag)!r});"
        + SLEEPS
    )
    part = supervisor.start(python(code, ready_file=flag))
    await part.wait_ready(DEADLINE_SECONDS)
    grandchild = processes.identify(int(flag.read_text()))
    assert grandchild is not None
    os.kill(pid_of(part), signal.SIGKILL)
    await until(lambda: not grandchild.is_alive())


async def test_a_part_is_out_of_reach_of_the_terminal(supervisor: Supervisor) -> None:
    part = supervisor.start(python(SLEEPS))
    await part.wait_ready(DEADLINE_SECONDS)
    assert os.getsid(pid_of(part)) == pid_of(part)


async def test_a_leftover_is_adopted_watched_and_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    before = Supervisor(tmp_path)
    original = before.start(python(SLEEPS))
    await original.wait_ready(DEADLINE_SECONDS)
    leftover = original.part
    assert leftover is not None
    part = supervisor.start(python(SLEEPS), leftover)
    await part.wait_ready(DEADLINE_SECONDS)
    assert pid_of(part) == leftover.pid
    before.kill_all()
    await before.end("part")
    await until(lambda: part.part is not None and part.part.pid != leftover.pid)


async def test_an_adopted_part_is_ended_like_any_other(supervisor: Supervisor, tmp_path: Path) -> None:
    before = Supervisor(tmp_path)
    original = before.start(python(SLEEPS))
    await original.wait_ready(DEADLINE_SECONDS)
    leftover = original.part
    assert leftover is not None
    part = supervisor.start(python(SLEEPS), leftover)
    await part.wait_ready(DEADLINE_SECONDS)
    original._ending = True  # the first supervisor is dead: it must not restart what the second ends
    await supervisor.end("part")
    assert not leftover.process.is_alive()
    await before.end("part")


async def test_each_start_keeps_one_old_log(supervisor: Supervisor, tmp_path: Path) -> None:
    for word in ("first", "second", "third"):
        flag = tmp_path / word
        code = f"print({word!r}, flush=True); open({str(flag)!r}, 'w').close(); {SLEEPS}"
        another = Supervisor(tmp_path)
        await another.start(python(code, ready_file=flag)).wait_ready(DEADLINE_SECONDS)
        await another.end("part")
    assert supervisor.log_path("part").read_text() == "third\n"
    assert (tmp_path / "logs" / "part.log.1").read_text() == "second\n"
