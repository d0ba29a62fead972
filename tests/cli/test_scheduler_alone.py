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
from tests.e2e.yard import EXAMPLES, free_port_base, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base = free_port_base() + 10
    api = f"127.0.0.1:{base + 4}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "modelyard.run.scheduler"),
            *("--state-dir", tmp_path_factory.mktemp("scheduler")),
            *("--api", api, "--agents", f"127.0.0.1:{base + 5}", "--xds", f"127.0.0.1:{base + 2}"),
        ],
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None
        try:
            with Client(api) as client:
                return bool(client.status().version)
        except ModelyardError:
            return False

    try:
        until(answers, "the scheduler answers")
        yield api
    finally:
        process.terminate()
        process.wait(30)


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
