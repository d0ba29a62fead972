"""Starting and stopping: what `modelyard up` and `down` promise, and what they say when it cannot be."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.e2e.yard import (
    IRIS_CLASSES,
    MODELYARD,
    Yard,
    assert_nothing_left,
    classes,
    load_iris,
    processes_of,
    running,
    until,
)

pytestmark = pytest.mark.e2e


def test_down_leaves_nothing_behind_and_the_state_survives(yard: Yard) -> None:
    said = yard.up("--replicas", "1")
    assert f"127.0.0.1:{yard.port_base}" in said
    with yard.client() as client:
        load_iris(client, "iris")
    before = yard.system()
    assert [part.name for part in before.parts] == ["scheduler", "gateway", "runtime-local-0", "agent-local-0"]
    assert "stopped" in yard.down()
    assert_nothing_left(yard, before)

    yard.up()
    with yard.client() as client:
        client.wait("iris", timeout_seconds=60)
        assert classes(client, "iris", "rest") == IRIS_CLASSES
    before = yard.system()
    assert sum(part.name.startswith("runtime-") for part in before.parts) == 1  # as it was
    yard.down()
    assert_nothing_left(yard, before)


def test_down_when_nothing_runs_says_so(yard: Yard) -> None:
    done = yard.run("down")
    assert (done.returncode, done.stdout) == (0, f"nothing is running in {yard.state_dir}\n")
    assert not yard.state_dir.exists()


def test_a_second_up_on_the_same_state_directory_is_refused(yard: Yard) -> None:
    yard.up("--replicas", "1")
    before = yard.system()
    for flags in (["--detach"], []):
        done = yard.run("up", *flags, "--port-base", str(yard.port_base))
        assert done.returncode == 4
        assert f"already running in {yard.state_dir} (pid {before.pid}, gateway {before.gateway})" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert [part.pid for part in yard.system().parts] == [part.pid for part in before.parts]


@pytest.mark.parametrize("flags", [["--detach"], []], ids=["detached", "in the foreground"])
@pytest.mark.parametrize(("offset", "who"), [(0, "gateway"), (2, "xDS"), (4, "API"), (5, "agent service")])
def test_a_busy_port_is_named_and_nothing_is_left(yard: Yard, offset: int, who: str, flags: list[str]) -> None:
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind(("127.0.0.1", yard.port_base + offset))
        busy.listen()
        done = yard.run("up", *flags, "--port-base", str(yard.port_base))
    assert done.returncode == 4
    assert f"port {yard.port_base + offset}, which the" in done.stderr
    assert who in done.stderr
    assert f"(pid {os.getpid()})" in done.stderr
    assert_nothing_runs(yard)


@pytest.mark.parametrize("flags", [["--detach"], []], ids=["detached", "in the foreground"])
def test_a_missing_envoy_is_said_and_nothing_is_left(yard: Yard, flags: list[str]) -> None:
    done = yard.run("up", *flags, "--port-base", str(yard.port_base), MODELYARD_ENVOY="/nowhere/envoy")
    assert done.returncode == 5
    assert "/nowhere/envoy" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert_nothing_runs(yard)


def test_a_part_that_cannot_start_is_quoted_and_nothing_is_left(yard: Yard) -> None:
    envoy = yard.home / "envoy"
    envoy.write_text("#!/bin/sh\necho 'this envoy is out of order' >&2\nexit 3\n")
    envoy.chmod(0o755)
    done = yard.run("up", "--detach", "--port-base", str(yard.port_base), MODELYARD_ENVOY=str(envoy))
    assert done.returncode == 5
    assert "gateway ended with exit code 3" in done.stderr
    assert "this envoy is out of order" in done.stderr
    assert_nothing_runs(yard)


def test_a_state_directory_that_cannot_be_is_refused(yard: Yard) -> None:
    yard.state_dir.write_text("a file")
    for flags in (["--detach"], []):
        done = yard.run("up", *flags, "--port-base", str(yard.port_base))
        assert done.returncode == 4
        assert f"the state directory {yard.state_dir} cannot be used" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_foreground_and_all_its_parts(yard: Yard, number: signal.Signals) -> None:
    command = [str(MODELYARD), "up", "--replicas", "1", "--port-base", str(yard.port_base)]
    command += ["--state-dir", str(yard.state_dir)]
    with subprocess.Popen(command, env=yard.environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if f"ready: inference (REST and gRPC) at 127.0.0.1:{yard.port_base}" in line:
                break
        before = yard.system()
        process.send_signal(number)
        said += process.stderr.readlines()
        assert process.wait() == 0
    assert "the state is kept in" in said[-1]
    assert_nothing_left(yard, before)


def test_a_signal_while_starting_leaves_nothing(yard: Yard) -> None:
    command = [str(MODELYARD), "up", "--detach", "--port-base", str(yard.port_base), "--state-dir", str(yard.state_dir)]
    with subprocess.Popen(command, env=yard.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until((yard.state_dir / "up.lock").exists, "it has begun")
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode == 130
    assert_nothing_runs(yard)


def test_a_supervisor_that_is_killed_while_starting_is_cleared_away(yard: Yard) -> None:
    command = [str(MODELYARD), "up", "--detach", "--port-base", str(yard.port_base), "--state-dir", str(yard.state_dir)]
    with subprocess.Popen(command, env=yard.environment, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: bool(yard.known_parts()), "it has begun its first part")
        os.kill(yard.system().pid, signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode == 5
    assert "`modelyard up` died while starting; its log" in said
    assert "scheduler started" in said
    assert_nothing_runs(yard)


def test_a_detached_start_that_nobody_waits_for_undoes_itself(yard: Yard) -> None:
    command = [str(MODELYARD), "up", "--detach", "--port-base", str(yard.port_base), "--state-dir", str(yard.state_dir)]
    with subprocess.Popen(command, env=yard.environment) as process:
        until((yard.state_dir / "up.lock").exists, "it has begun")
        process.kill()
    until(lambda: not (yard.state_dir / "up.lock").exists(), "it has noticed")
    assert_nothing_runs(yard)


# A process of one thread may fork; this one may have several.
ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def test_a_terminal_shows_a_live_table_and_ctrl_c_stops_everything(yard: Yard) -> None:
    command = [sys.executable, "-c", ON_A_TERMINAL, str(MODELYARD), "up", "--replicas", "1"]
    command += ["--port-base", str(yard.port_base), "--state-dir", str(yard.state_dir)]
    environment = {**yard.environment, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        output, shown = process.stdout, bytearray()

        def read() -> None:
            while piece := os.read(output.fileno(), 4096):
                shown.extend(piece)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            until(lambda: b"REPLICA" in shown and b"connected" in shown, "the table shows the replica")
            before = yard.system()
            process.stdin.write(b"\x03")  # Ctrl-C
            process.stdin.flush()
            assert process.wait(60) == 0
        finally:
            process.kill()
            reader.join()
    assert_nothing_left(yard, before)


def test_two_systems_run_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with running(tmp_path / "a", "--replicas", "1") as first, running(tmp_path / "b", "--replicas", "1") as second:
        for yard in (first, second):
            with yard.client() as client:
                load_iris(client, "iris")
                assert classes(client, "iris", "grpc") == IRIS_CLASSES
        before = first.system()
        first.down()
        assert_nothing_left(first, before)
        with second.client() as client:
            assert classes(client, "iris", "rest") == IRIS_CLASSES


def assert_nothing_runs(yard: Yard) -> None:
    """After a start that failed."""
    until(lambda: not processes_of(yard.state_dir), "its processes are gone")
    assert not (yard.state_dir / "up.lock").exists()
    assert not (yard.state_dir / "system.json").exists()
