import os
import signal
import subprocess
import sys
import time

from modelyard.run import processes
from modelyard.run.processes import ProcessId

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


def started(*, session: bool = True) -> tuple[subprocess.Popen[bytes], ProcessId]:
    process = subprocess.Popen(SLEEPS, start_new_session=session)
    id = processes.identify(process.pid)
    assert id is not None
    return process, id


def test_a_process_is_the_same_only_with_its_beginning() -> None:
    me = processes.identify(os.getpid())
    assert me is not None
    assert me.is_alive()
    assert not ProcessId(me.pid, me.create_time - 60).is_alive()


def test_a_zombie_is_gone() -> None:
    process, id = started()
    process.send_signal(signal.SIGKILL)
    assert processes.wait_until_gone([id], 10)
    process.wait()
    assert processes.identify(id.pid) is None


def test_a_pid_that_was_given_out_again_is_not_signalled() -> None:
    process, id = started()
    ProcessId(id.pid, id.create_time - 60).signal(signal.SIGKILL)
    time.sleep(0.1)
    assert process.poll() is None
    id.signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_process_in_our_own_group_is_signalled_alone() -> None:
    process, id = started(session=False)
    id.signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_end_kills_what_does_not_listen() -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        id = processes.identify(process.pid)
        assert id is not None
        processes.end([id], patience_seconds=0.3)
        assert process.wait() == -signal.SIGKILL
