"""What the commands say where there is a scheduler and nothing else: no gateway, no server, no provider."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelyard import Client, ModelyardError
from modelyard.cli import main
from tests.e2e.yard import EXAMPLES, MODELYARD, free_port_base, until

pytestmark = pytest.mark.e2e


class Scheduler:
    """A scheduler process that can be ended and started again in its place."""

    def __init__(self, state_dir: Path, base: int) -> None:
        self.api = f"127.0.0.1:{base + 4}"
        self._command = [
            *(sys.executable, "-m", "modelyard.run.scheduler", "--state-dir", str(state_dir), "--api", self.api),
            *("--agents", f"127.0.0.1:{base + 5}", "--xds", f"127.0.0.1:{base + 2}"),
        ]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        until(self._answers, "the scheduler answers")

    def _answers(self) -> bool:
        assert self._process.poll() is None
        try:
            with Client(self.api) as client:
                return bool(client.status().version)
        except ModelyardError:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    it = Scheduler(tmp_path_factory.mktemp("scheduler"), free_port_base() + 10)
    yield it
    it.kill()


@pytest.fixture
def scheduler(running: Scheduler) -> str:
    return running.api


def run(scheduler: str, *arguments: str) -> Any:
    return CliRunner().invoke(main.app, [*arguments, "--scheduler", scheduler], env={"MODELYARD_STATE_DIR": None})


def test_status_says_that_no_gateway_is_there(scheduler: str) -> None:
    done = run(scheduler, "status")
    assert done.exit_code == 0
    assert "no gateway is connected" in done.stderr
    assert "0 providers of servers" in done.stdout


@pytest.mark.parametrize("kind", ["models", "servers", "replicas"])
def test_an_empty_list_says_so(scheduler: str, kind: str) -> None:
    done = run(scheduler, "get", kind)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"note: there are no {kind}\n")
    assert run(scheduler, "get", kind, "-o", "json").stdout == "[]\n"


def test_a_model_and_a_server_are_accepted_and_wait(scheduler: str, tmp_path: Path) -> None:
    manifest = {"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Server", "metadata": {"name": "later"}}
    (tmp_path / "server.json").write_text(json.dumps({**manifest, "spec": {"replicas": 2}}))
    done = run(scheduler, "apply", "-f", str(EXAMPLES / "iris.yaml"), "-f", str(tmp_path))
    assert done.exit_code == 0
    assert done.stdout.splitlines() == ["model/iris created (version 1)", "server/later created"]
    assert "warning: model/iris has nowhere to go yet: " in done.stderr
    assert "note: server/later: nobody provides servers here" in done.stderr
    assert run(scheduler, "get", "servers").stdout.splitlines()[1].split()[:2] == ["later", "0/2"]
    assert "there are no server replicas" in run(scheduler, "explain", "iris").stdout
    done = run(scheduler, "delete", "-f", str(EXAMPLES / "iris.yaml"), "-f", str(tmp_path))
    assert done.stdout.splitlines() == ["server/later deleted", "model/iris deleted"]


def test_inference_needs_a_gateway_of_the_same_system(scheduler: str) -> None:
    done = CliRunner().invoke(
        main.app, ["infer", "iris"], env={"MODELYARD_STATE_DIR": None, "MODELYARD_SCHEDULER": scheduler}
    )
    assert done.exit_code == 2
    assert "give --gateway HOST:PORT or set MODELYARD_GATEWAY" in done.stderr


def test_a_watch_outlasts_a_restart_of_the_scheduler(running: Scheduler) -> None:
    watch = subprocess.Popen(
        [MODELYARD, "get", "models", "-w", "--scheduler", running.api],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert watch.stdout.readline().startswith("NAME")
        running.kill()
        assert "cannot reach the scheduler" in watch.stderr.readline()
        running.start()
        run(running.api, "load", "after", "/m")
        assert watch.stdout.readline().split()[:3] == ["after", "1", "ScheduleFailed"]
    finally:
        watch.kill()
        watch.communicate()
