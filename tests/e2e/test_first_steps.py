"""What the README tells to do, word by word, from a directory that is not the repository."""

import json

import pytest

from tests.e2e.yard import EXAMPLES, Yard, assert_nothing_left

pytestmark = pytest.mark.e2e

REQUEST = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}


def test_from_two_manifests_to_answers_and_back_to_nothing(yard: Yard) -> None:
    elsewhere = yard.home / "elsewhere"
    elsewhere.mkdir()
    yard.up()
    manifests = ["-f", str(EXAMPLES / "iris.yaml"), "-f", str(EXAMPLES / "breast-cancer.yaml")]
    said = yard.do("apply", *manifests, cwd=elsewhere)
    assert "iris" in said
    assert "breast-cancer" in said
    for name in ("iris", "breast-cancer"):
        yard.do("wait", f"model/{name}", "--for", "Available", "--timeout", "60s", cwd=elsewhere)
    for protocol in ([], ["--grpc"]):
        answer = json.loads(yard.do("infer", "iris", *protocol, "-d", json.dumps(REQUEST), cwd=elsewhere))
        assert answer["outputs"][0]["data"] == [0]
        assert answer["model_name"] == "iris_1"
    described = yard.do("describe", "model", "breast-cancer", cwd=elsewhere)
    assert "local/0" in described
    assert "local/1" in described
    assert "iris" in yard.do("get", "models", cwd=elsewhere)
    assert str(yard.port_base) in yard.do("status", cwd=elsewhere)
    yard.do("delete", *manifests, cwd=elsewhere)
    for name in ("iris", "breast-cancer"):
        yard.do("wait", f"model/{name}", "--for", "Deleted", "--timeout", "60s", cwd=elsewhere)
    gone = yard.run("infer", "iris", "-d", json.dumps(REQUEST), cwd=elsewhere)
    assert gone.returncode == 3, gone.stderr
    loaded = [path for path in yard.state_dir.glob("servers/local/*/repository/*") if path.name[0] != "."]
    assert loaded == []
    before = yard.system()
    yard.do("down", cwd=elsewhere)
    assert_nothing_left(yard, before)
    assert list(elsewhere.iterdir()) == []


def test_every_command_finds_the_only_system_of_this_user(yard: Yard) -> None:
    yard.up("--replicas", "1")
    done = yard.run("get", "servers", MODELYARD_STATE_DIR="")
    assert done.returncode == 0, done.stderr
    assert "local" in done.stdout
    before = yard.system()
    assert yard.run("down", MODELYARD_STATE_DIR="").returncode == 0
    assert_nothing_left(yard, before)


def test_without_a_system_a_command_says_how_to_start_one(yard: Yard) -> None:
    done = yard.run("get", "models")
    assert done.returncode == 5
    assert f"start one with `modelyard up --state-dir {yard.state_dir}`" in done.stderr
