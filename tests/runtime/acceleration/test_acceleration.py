"""A runtime that compiles models while it serves them: a real process, a real child, real traffic."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import joblib
import psutil
import pytest
from sklearn.ensemble import RandomForestClassifier

from tests.runtime import conftest as runtimes
from tests.runtime.acceleration import models, slow
from tests.runtime.acceleration.models import IRIS, SMALL
from tests.runtime.conftest import Runtime

DEADLINE = 120
ROWS = IRIS[0][::10]
FOREST = RandomForestClassifier(**SMALL, min_samples_leaf=2).fit(*models.NAMED)
SINCE = "answers by ONNX since "


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
    return found


def write(repository: Path, name: str, estimator: Any, **settings: Any) -> None:
    folder = repository / name
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(estimator, folder / "model.joblib")
    if settings:
        (folder / "modelyard-model.json").write_text(json.dumps(settings))


def load(runtime: Runtime, name: str, **parameters: str) -> None:
    body = {"parameters": {"modelyard": {"parameters": parameters}}} if parameters else None
    answer = httpx.post(f"{runtime.http}/v2/repository/models/{name}/load", json=body, timeout=60)
    assert answer.status_code == 200, answer.text


def note(runtime: Runtime, name: str) -> str:
    held = httpx.get(f"{runtime.http}/v2/modelyard/models", timeout=30).json()["models"]
    return next(str(it.get("note", "")) for it in held if it["name"] == name)


def settled(runtime: Runtime, name: str) -> str:
    """The note when there is no more to come."""
    return until(lambda: (it := note(runtime, name)) and "meanwhile" not in it and it)


def children(runtime: Runtime) -> list[psutil.Process]:
    """Those that compile."""
    found = psutil.Process(runtime.process.pid).children(recursive=True)
    return [it for it in found if "modelyard.runtime.acceleration.child" in _command(it)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def infer(client: httpx.Client, name: str, *outputs: str, rows: Any = ROWS) -> dict[str, Any]:
    request = {"inputs": [{"name": "x", "shape": list(rows.shape), "datatype": "FP64", "data": rows.tolist()}]}
    answer = client.post(
        f"/v2/models/{name}/infer", json={**request, "outputs": [{"name": it} for it in outputs]}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return {it["name"]: it for it in answer.json()["outputs"]}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.fixture
def start(repository: Path) -> Iterator[Callable[..., Runtime]]:
    running: list[Runtime] = []

    def begin(*flags: str) -> Runtime:
        running.append(runtimes.start(repository, *flags))
        return running[-1]

    yield begin
    for it in running:
        if it.process.poll() is None:
            runtimes.stop(it)
        assert it.process.stderr is not None
        it.process.stderr.close()


def kept(repository: Path) -> list[Path]:
    folder = repository.with_name("repository-compiled")
    return sorted(folder.iterdir()) if folder.exists() else []


def test_switches_over_under_traffic_and_answers_the_same(repository: Path, start: Callable[..., Runtime]):
    write(repository, "forest", FOREST)
    runtime = start()
    load(runtime, "forest", optimize="onnx")
    expected = {
        "predict": FOREST.predict(ROWS).tolist(),
        "predict_proba": FOREST.predict_proba(ROWS).reshape(-1).tolist(),
    }
    over, answered, trouble = threading.Event(), [0], list[str]()

    def ask() -> None:
        with httpx.Client(base_url=runtime.http) as client:
            while not over.is_set():
                found = infer(client, "forest", "predict", "predict_proba")
                if found["predict"]["data"] != expected["predict"]:
                    trouble.append(f"labels {found['predict']['data']}")
                if found["predict_proba"]["data"] != pytest.approx(expected["predict_proba"], abs=1e-12):
                    trouble.append(f"probabilities {found['predict_proba']['data']}")
                answered[0] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for it in threads:
        it.start()
    try:
        said = settled(runtime, "forest")
        before = answered[0]
        until(lambda: answered[0] > before + 200)
    finally:
        over.set()
        for it in threads:
            it.join()
    assert not trouble, trouble[:3]
    assert said.startswith(SINCE), said
    assert re.search(r"checked on 4,000 rows: largest difference (0|\de-1\d), 0 labels differ$", said), said
    metadata = httpx.get(f"{runtime.http}/v2/models/forest").json()
    assert metadata["platform"] == "sklearn"
    assert [it["name"] for it in metadata["outputs"]] == ["predict", "predict_proba", "predict_log_proba"]


def test_only_who_asks_for_it_is_compiled_and_a_model_may_decline(repository: Path, start: Callable[..., Runtime]):
    write(repository, "plain", FOREST)
    write(repository, "declines", FOREST, optimize="none")
    write(repository, "asks", FOREST, optimize="onnx")
    runtime = start()
    for name in ("plain", "asks"):
        load(runtime, name)
    assert settled(runtime, "asks").startswith(SINCE)
    assert note(runtime, "plain") == ""
    second = start("--optimize", "onnx")
    for name in ("declines", "plain"):
        load(second, name)
    assert settled(second, "plain").startswith(SINCE)
    assert note(second, "declines") == ""


def test_is_compiled_once_and_again_when_what_was_kept_is_damaged(repository: Path, start: Callable[..., Runtime]):
    write(repository, "forest", FOREST, optimize="onnx")
    write(repository, "same", FOREST, optimize="onnx")
    runtime = start()
    load(runtime, "forest")
    assert settled(runtime, "forest").startswith(SINCE)
    (entry,) = kept(repository)
    made = entry.stat().st_ino, (entry / "model.onnx").stat().st_mtime_ns
    load(runtime, "same")
    assert settled(runtime, "same").startswith(SINCE)
    assert [(it.stat().st_ino, (it / "model.onnx").stat().st_mtime_ns) for it in kept(repository)] == [made]
    graph = (entry / "model.onnx").read_bytes()
    (entry / "model.onnx").write_bytes(graph[:-1] + bytes([graph[-1] ^ 1]))
    load(runtime, "forest")
    assert settled(runtime, "forest").startswith(SINCE)
    assert (entry / "model.onnx").read_bytes() == graph
    assert any("is damaged" in line for line in runtime.lines)


def test_says_what_the_graph_cannot_do_and_serves_natively(repository: Path, start: Callable[..., Runtime]):
    write(
        repository, "several", models.RandomForestClassifier(**SMALL).fit(IRIS[0], IRIS[1][:, None].repeat(2, axis=1))
    )
    runtime = start("--optimize", "onnx")
    load(runtime, "several")
    assert settled(runtime, "several") == "not accelerated: a RandomForestClassifier of several outputs is not compiled"
    with httpx.Client(base_url=runtime.http) as client:
        assert infer(client, "several")["predict"]["shape"] == [len(ROWS), 2]


def test_outputs_that_are_not_compiled_are_answered_natively(repository: Path, start: Callable[..., Runtime]):
    linear = models.EXACT["a linear model"]()
    write(repository, "linear", linear, optimize="onnx")
    runtime = start()
    load(runtime, "linear")
    assert settled(runtime, "linear").startswith(SINCE)
    with httpx.Client(base_url=runtime.http) as client:
        found = infer(client, "linear", "decision_function", "predict")
        assert found["decision_function"]["data"] == pytest.approx(linear.decision_function(ROWS).reshape(-1).tolist())
        bad = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]}
        refused = client.post("/v2/models/linear/infer", json=bad)
    assert refused.status_code == 400
    assert "3 features" in refused.text


def test_tolerances_are_the_users_to_set(repository: Path, start: Callable[..., Runtime]):
    write(repository, "words", models.SINGLE["counted words"]())
    runtime = start()
    load(runtime, "words", optimize="onnx", optimize_tolerance="0", optimize_label_mismatch="0")
    assert "natively: predict_proba (its numbers differ by up to" in settled(runtime, "words")
    answer = httpx.post(
        f"{runtime.http}/v2/repository/models/words/load",
        json={"parameters": {"modelyard": {"parameters": {"optimize": "onnx", "optimize_tolerance": "much"}}}},
    )
    assert answer.status_code == 400
    assert "'optimize_tolerance' in the manifest's parameters must be a number from 0 to 1" in answer.text


def test_a_child_that_is_killed_costs_only_the_acceleration(repository: Path, start: Callable[..., Runtime]):
    write(repository, "slow", slow.Forest(FOREST))
    runtime = start("--optimize", "onnx")
    load(runtime, "slow")
    (child,) = until(lambda: children(runtime))
    child.send_signal(signal.SIGKILL)
    assert settled(runtime, "slow") == "not accelerated: compiling ended with SIGKILL"
    with httpx.Client(base_url=runtime.http) as client:
        assert infer(client, "slow")["predict"]["data"] == FOREST.predict(ROWS).tolist()
    assert kept(repository) == []


def test_an_unload_ends_the_child(repository: Path, start: Callable[..., Runtime]):
    write(repository, "slow", slow.Forest(FOREST))
    runtime = start("--optimize", "onnx")
    load(runtime, "slow")
    (child,) = until(lambda: children(runtime))
    assert runtime.unload("slow").status_code == 200
    until(lambda: not child.is_running())
    until(lambda: kept(repository) == [])


def test_a_reload_begins_anew(repository: Path, start: Callable[..., Runtime]):
    write(repository, "slow", slow.Forest(FOREST))
    runtime = start("--optimize", "onnx")
    load(runtime, "slow")
    (first,) = until(lambda: children(runtime))
    write(repository, "slow", FOREST)
    load(runtime, "slow")
    assert settled(runtime, "slow").startswith(SINCE)
    assert not first.is_running()


def test_a_server_that_is_killed_takes_its_child_along(repository: Path, start: Callable[..., Runtime]):
    write(repository, "slow", slow.Forest(FOREST))
    runtime = start("--optimize", "onnx")
    load(runtime, "slow")
    (child,) = until(lambda: children(runtime))
    os.kill(runtime.process.pid, signal.SIGKILL)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    runtime.process.wait()
    assert len(kept(repository)) == 1
    write(repository, "forest", FOREST)
    again = start("--optimize", "onnx")
    load(again, "forest")
    assert settled(again, "forest").startswith(SINCE)
    assert [it.name.startswith("tmp-") for it in kept(repository)] == [False]


def test_a_server_that_stops_ends_its_child(repository: Path, start: Callable[..., Runtime]):
    write(repository, "slow", slow.Forest(FOREST))
    runtime = start("--optimize", "onnx")
    load(runtime, "slow")
    (child,) = until(lambda: children(runtime))
    assert runtimes.stop(runtime) == 0
    until(lambda: not child.is_running())
    assert kept(repository) == []


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--optimize-seconds", "1"), "not accelerated: compiling was not done after 1 s"),
        (("--optimize-memory", "300"), r"not accelerated: compiling would take about 400 MiB, and 300 MiB are allowed"),
    ],
)
def test_bounds_hold(flags: tuple[str, ...], reason: str, repository: Path, start: Callable[..., Runtime]):
    write(repository, "slow", slow.Forest(FOREST))
    runtime = start("--optimize", "onnx", *flags)
    load(runtime, "slow")
    assert settled(runtime, "slow") == reason
    assert children(runtime) == []


def test_more_memory_than_allowed_is_not_had(repository: Path, start: Callable[..., Runtime]):
    write(repository, "hungry", slow.Hungry(FOREST))
    runtime = start("--optimize", "onnx", "--optimize-memory", "600")
    load(runtime, "hungry")
    assert (
        settled(runtime, "hungry") == "not accelerated: compiling took more than the 600 MiB of memory that are allowed"
    )


def test_a_compiled_model_answers_while_the_worker_of_the_native_one_is_gone(
    repository: Path, start: Callable[..., Runtime]
):
    write(repository, "forest", FOREST, optimize="onnx", worker=True)
    runtime = start()
    load(runtime, "forest")
    assert settled(runtime, "forest").startswith(SINCE)
    others = psutil.Process(runtime.process.pid).children(recursive=True)
    assert others
    for it in others:
        it.suspend()  # whoever answers now is not in another process
    try:
        with httpx.Client(base_url=runtime.http) as client:
            assert infer(client, "forest")["predict"]["data"] == FOREST.predict(ROWS).tolist()
    finally:
        for it in others:
            it.resume()


def test_pickles_stay_refused(repository: Path, start: Callable[..., Runtime]):
    write(repository, "forest", FOREST)
    runtime = start("--optimize", "onnx", "--no-pickle")
    answer = runtime.load("forest")
    assert answer.status_code == 400
    assert "not allowed here" in answer.text
    assert kept(repository) == []
