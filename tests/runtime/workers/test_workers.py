"""Models in processes of their own: a real runtime, and workers that are held, killed and left behind."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from tests.runtime import artifacts, estimators, graphs
from tests.runtime.conftest import Runtime, start, stop

pytestmark = pytest.mark.e2e
DEADLINE = 60
MB = 1 << 20


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Runtime]:
    repository = tmp_path / "repository"
    repository.mkdir()
    runtime = start(repository)
    yield runtime
    children = psutil.Process(runtime.process.pid).children(recursive=True) if runtime.process.poll() is None else []
    code = stop(runtime)
    assert code in (0, -signal.SIGKILL)
    gone_all(children)
    assert not any("Traceback" in line for line in runtime.lines), "".join(runtime.lines)


def gone_all(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=DEADLINE)
    for it in alive:
        it.kill()
    assert not alive


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def infer(runtime: Runtime, model: str, timeout: float = DEADLINE) -> httpx.Response:
    body = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1]}]}
    return httpx.post(f"{runtime.http}/v2/models/{model}/infer", json=body, timeout=timeout)


def workers(runtime: Runtime) -> list[psutil.Process]:
    """The processes that hold models: the children of the nursery."""
    return [it for child in psutil.Process(runtime.process.pid).children() for it in child.children()]


def memory_of(runtime: Runtime, model: str) -> int:
    held = httpx.get(f"{runtime.http}/v2/modelyard/models", timeout=DEADLINE).json()["models"]
    return next(it["memory_bytes"] for it in held if it["name"] == model)


def small(runtime: Runtime, name: str) -> None:
    rows = np.arange(4.0).reshape(-1, 1)
    artifacts.pickled(runtime.repository, name, LinearRegression().fit(rows, 2 * rows))
    assert runtime.load(name).status_code == 200


def test_a_model_that_lets_nothing_else_run_holds_up_no_other(running: Runtime, tmp_path: Path):
    begun, pipe = tmp_path / "begun", tmp_path / "pipe"
    os.mkfifo(pipe)
    artifacts.pickled(running.repository, "holds", estimators.Holds(begun, pipe))
    assert running.load("holds").status_code == 200
    small(running, "light")
    artifacts.file(running.repository, "onnx/model.onnx", artifacts.identity("FP64"))
    assert running.load("onnx").status_code == 200
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(infer, running, "holds")
        until(begun.exists)
        for _ in range(20):
            assert infer(running, "light").json()["outputs"][0]["data"] == [2.0]
            body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]}
            assert httpx.post(f"{running.http}/v2/models/onnx/infer", json=body).status_code == 200
        assert running.unload("light").status_code == 200
        small(running, "another")
        assert not held.done()
        pipe.write_bytes(b"")
        assert held.result(DEADLINE).status_code == 200


def test_an_unload_ends_a_worker_that_sees_nothing_any_more(tmp_path: Path):
    begun, pipe = tmp_path / "begun", tmp_path / "pipe"
    os.mkfifo(pipe)
    repository = tmp_path / "repository"
    artifacts.pickled(repository, "holds", estimators.Holds(begun, pipe))
    runtime = start(repository)
    try:
        assert runtime.load("holds").status_code == 200
        (worker,) = workers(runtime)
        with ThreadPoolExecutor(1) as threads:
            held = threads.submit(infer, runtime, "holds")
            until(begun.exists)
            assert runtime.unload("holds").status_code == 200  # after it waited for the request in vain
            assert held.result(DEADLINE).status_code == 503
        gone_all([worker])
    finally:
        assert stop(runtime) == 0


def test_an_unload_ends_a_load_that_never_ends(running: Runtime, tmp_path: Path):
    begun, pipe = tmp_path / "begun", tmp_path / "pipe"
    os.mkfifo(pipe)
    artifacts.pickled(running.repository, "m", estimators.HoldsWhileUnpickled(begun, pipe))
    artifacts.file(running.repository, "m/modelyard-model.json", b'{"worker": true}')
    with ThreadPoolExecutor(1) as threads:
        load = threads.submit(running.load, "m")
        until(begun.exists)
        assert running.unload("m").status_code == 200
        answer = load.result(DEADLINE)
        assert (answer.status_code, "was given up" in answer.json()["error"]) == (409, True)
    until(lambda: not workers(running))
    small(running, "m")


def test_a_worker_that_is_killed_fails_its_requests_and_comes_back(running: Runtime, tmp_path: Path):
    waits = estimators.Waits(tmp_path / "begun", tmp_path / "go")
    artifacts.pickled(running.repository, "waits", waits)
    assert running.load("waits").status_code == 200
    (victim,) = workers(running)
    small(running, "other")
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(infer, running, "waits") for _ in range(8)]
        until(waits.begun.exists)
        victim.kill()
        until(lambda: any(it.done() for it in asked))
        assert infer(running, "other").status_code == 200
        waits.go.touch()
        answers = [it.result(DEADLINE) for it in asked]
    lost = [it for it in answers if it.status_code == 503 and "x-modelyard-not-loaded" not in it.headers]
    says = "the process of the model 'waits' ended while it ran this request (SIGKILL, as when there is no memory left)"
    assert {it.json()["error"] for it in lost} == {says}
    assert 1 <= len(lost) <= 4  # those that ran
    # What had not begun waited for the new process, or may be asked of another replica.
    assert {it.status_code for it in answers if it not in lost} <= {200, 503}
    until(lambda: infer(running, "waits").status_code == 200)
    assert all(it.pid != victim.pid for it in workers(running))


def test_while_it_is_away_it_says_so(running: Runtime, tmp_path: Path):
    asked = tmp_path / "asked"
    artifacts.pickled(running.repository, "dies", estimators.Dies(asked))
    assert running.load("dies").status_code == 200
    index = f"{running.http}/v2/repository/index"

    def entry() -> dict[str, str]:
        return next(it for it in httpx.post(index).json() if it["name"] == "dies")

    def dies() -> bool:
        answer = infer(running, "dies")
        assert answer.status_code == 503
        return "is given up" in answer.json()["error"]

    until(dies)  # it is started again some times, and not for ever
    begun = len(asked.read_text())
    assert 2 <= begun <= 10
    assert (entry()["state"], "is given up: load it anew" in entry()["reason"]) == ("UNAVAILABLE", True)
    assert httpx.get(f"{running.http}/v2/models/dies/ready").status_code == 503
    assert running.load("dies").status_code == 200
    assert entry()["state"] == "READY"


def test_a_model_that_ends_the_shared_worker_is_moved_out_and_its_neighbours_come_back(running: Runtime):
    for name in ("a", "b"):
        small(running, name)
    (shared,) = workers(running)
    artifacts.pickled(running.repository, "kills", estimators.DiesWhileUnpickled())
    answer = running.load("kills")
    assert answer.status_code == 503
    assert "the process that loaded 'kills' ended (SIGKILL" in answer.json()["error"]
    for name in ("a", "b"):
        until(lambda name=name: infer(running, name).status_code == 200)
    assert shared.pid not in {it.pid for it in workers(running)}
    assert len(workers(running)) == 1


def test_the_models_of_a_shared_worker_come_back_together(running: Runtime):
    names = [f"m{number}" for number in range(5)]
    for name in names:
        small(running, name)
    (shared,) = workers(running)
    shared.kill()
    for name in names:
        until(lambda name=name: infer(running, name).status_code == 200)
    assert [it.pid != shared.pid for it in workers(running)] == [True]
    for name in names:
        assert running.unload(name).status_code == 200
    until(lambda: not workers(running))  # one that holds nothing is not kept


def test_a_runtime_that_is_killed_leaves_no_process(running: Runtime, tmp_path: Path):
    begun, pipe = tmp_path / "begun", tmp_path / "pipe"
    os.mkfifo(pipe)
    artifacts.pickled(running.repository, "holds", estimators.Holds(begun, pipe))
    assert running.load("holds").status_code == 200
    small(running, "other")
    family = psutil.Process(running.process.pid).children(recursive=True)
    assert len(family) == 3
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(infer, running, "holds")  # a worker that notices nothing
        until(begun.exists)
        running.process.kill()
        assert held.exception(DEADLINE) is not None
    gone_all(family)


def test_a_signal_to_all_of_them_lets_requests_be_answered_first(running: Runtime, tmp_path: Path):
    """As Ctrl-C in a terminal sends it."""
    waits = estimators.Waits(tmp_path / "begun", tmp_path / "go")
    artifacts.pickled(running.repository, "waits", waits)
    assert running.load("waits").status_code == 200
    runtime = psutil.Process(running.process.pid)
    family = runtime.children(recursive=True)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(infer, running, "waits")
        until(waits.begun.exists)
        for it in (*family, runtime):
            it.send_signal(signal.SIGINT)
        until(lambda: any("stopping" in line for line in running.lines))
        waits.go.touch()
        assert asked.result(DEADLINE).status_code == 200
    assert running.process.wait(DEADLINE) == 0
    gone_all(family)


@pytest.mark.parametrize(("worker", "processes"), [(True, 1), (False, 0), (None, 0)])
def test_settings_say_where_a_model_lives(running: Runtime, worker: bool | None, processes: int):
    artifacts.file(running.repository, "m/model.onnx", artifacts.identity("FP64"))
    if worker is not None:
        artifacts.file(running.repository, "m/modelyard-model.json", json.dumps({"worker": worker}).encode())
    assert running.load("m").status_code == 200
    assert len(workers(running)) == processes
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [7]}]}
    assert httpx.post(f"{running.http}/v2/models/m/infer", json=body).json()["outputs"][0]["data"] == [7]


def test_without_its_nursery_everything_comes_back(running: Runtime):
    small(running, "m")
    (nursery,) = psutil.Process(running.process.pid).children()
    family = [nursery, *nursery.children()]
    nursery.kill()
    gone_all(family)
    until(lambda: infer(running, "m").status_code == 200)


def test_a_client_that_goes_away_frees_its_place(running: Runtime, tmp_path: Path):
    waits = estimators.Waits(tmp_path / "begun", tmp_path / "go")
    artifacts.pickled(running.repository, "waits", waits)
    settings = b'{"max_concurrency": 1, "max_queue": 1}'
    artifacts.file(running.repository, "waits/modelyard-model.json", settings)
    assert running.load("waits").status_code == 200
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(infer, running, "waits")
        until(waits.begun.exists)
        with pytest.raises(httpx.ReadTimeout):
            infer(running, "waits", timeout=1)  # takes the only place
        second = threads.submit(retried, running, "waits")  # refused until that is noticed
        waits.go.touch()
        assert first.result(DEADLINE).status_code == 200
        assert second.result(DEADLINE).status_code == 200


def retried(runtime: Runtime, model: str) -> httpx.Response:
    while (answer := infer(runtime, model)).status_code == 429:
        assert answer.headers["retry-after"] == "1"
    return answer


def test_who_comes_when_too_many_wait_hears_429(running: Runtime, tmp_path: Path):
    waits = estimators.Waits(tmp_path / "begun", tmp_path / "go")
    artifacts.pickled(running.repository, "waits", waits)
    settings = b'{"max_concurrency": 1, "max_queue": 2}'
    artifacts.file(running.repository, "waits/modelyard-model.json", settings)
    assert running.load("waits").status_code == 200
    with ThreadPoolExecutor(10) as threads:
        first = threads.submit(infer, running, "waits")
        until(waits.begun.exists)
        others = [threads.submit(infer, running, "waits") for _ in range(8)]
        until(lambda: sum(it.done() for it in others) == 6)
        refused = [it.result() for it in others if it.done()]
        assert {(it.status_code, it.headers["retry-after"]) for it in refused} == {(429, "1")}
        assert "the model 'waits' is busy: 2 requests wait for it" in refused[0].json()["error"]
        waits.go.touch()
        assert first.result(DEADLINE).status_code == 200
        assert sorted(it.result(DEADLINE).status_code for it in others) == [200] * 2 + [429] * 6
    assert infer(running, "waits").status_code == 200


@pytest.mark.parametrize("size", [16, 64])
def test_what_a_model_takes_is_measured_in_the_server(running: Runtime, size: int):
    """An ONNX graph, which lives in the server's own process."""
    process = psutil.Process(running.process.pid)
    artifacts.file(running.repository, "first/model.onnx", artifacts.identity("FP64"))
    assert running.load("first").status_code == 200
    before = process.memory_info().rss
    artifacts.file(running.repository, "m/model.onnx", graphs.large(size * MB))
    assert running.load("m").status_code == 200
    assert size * MB <= memory_of(running, "m") <= size * MB * 1.5 + 2 * MB
    assert 0 < memory_of(running, "first") < 4 * MB  # ONNX Runtime's own is the first's
    assert running.unload("m").status_code == 200
    assert process.memory_info().rss - before < size * MB / 2


def test_what_a_model_takes_is_measured_in_the_shared_worker(running: Runtime):
    small(running, "first")
    rows = np.random.default_rng(0).normal(size=(2 * MB, 1))  # 16 MB, and 16 more of answers
    artifacts.pickled(running.repository, "m", KNeighborsRegressor(algorithm="brute").fit(rows, rows))
    assert running.load("m").status_code == 200
    assert 32 * MB <= memory_of(running, "m") <= 80 * MB
    assert 0 < memory_of(running, "first") < 4 * MB


def test_what_a_model_takes_is_measured_in_its_own_worker_and_given_back(running: Runtime):
    small(running, "first")
    artifacts.pickled(running.repository, "m", estimators.Large(64 * MB))
    assert running.load("m").status_code == 200
    assert len(workers(running)) == 2
    assert 64 * MB <= memory_of(running, "m") <= 64 * MB * 1.25 + 16 * MB
    assert running.unload("m").status_code == 200
    assert len(workers(running)) == 1
