"""Requests that share a call: real models, in this process, so that what arrives in one turn is certain."""

import asyncio
import gc
import json
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from modelyard.kit.errors import InvalidInput, ModelyardError
from modelyard.runtime.bounds import MOST_WAITING_BYTES, Bounds
from modelyard.runtime.errors import ModelFailed, TooBusy
from modelyard.runtime.formats.load import Options, load
from modelyard.runtime.inference import Inference
from modelyard.runtime.repository import Repository
from modelyard.wire.oip.nouns import BYTES, DTYPES, InferRequest, InferResponse, RequestedOutput, Tensor
from tests.runtime import artifacts, estimators, graphs

DEADLINE = 20


def write(folder: Path) -> None:
    artifacts.write(folder)
    rows, labels = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    forest = RandomForestClassifier(20, random_state=0).fit(rows, names[labels])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own
        graph = to_onnx(forest, rows[:1].astype(np.float32), options={"zipmap": False}).SerializeToString()
    artifacts.file(folder, "forest/model.onnx", graph)
    artifacts.file(folder, "picks/model.onnx", graphs.picks())
    artifacts.file(folder, "product/model.onnx", graphs.product())
    artifacts.file(folder, "doubled/model.onnx", graphs.doubled_rows())
    artifacts.file(folder, "doubled/modelyard-model.json", b'{"batch": true}')
    counting(folder, "counts")
    counting(folder, "counts-in-fives", max_batch_size=5)
    counting(folder, "counts-patiently", max_batch_size=3, max_batch_time_ms=60_000)
    counting(folder, "counts-a-moment", max_batch_time_ms=1)


def counting(folder: Path, name: str, **limits) -> None:
    artifacts.file(folder, f"{name}/model.onnx", graphs.counts())
    artifacts.file(folder, f"{name}/modelyard-model.json", json.dumps({"batch": True, **limits}).encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("together")
    write(path)
    return path


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
async def inference(folder: Path, threads: ThreadPoolExecutor) -> AsyncIterator[Inference]:
    repository = Repository(folder, lambda it, order: load(it, Options(), order), threads, unload_wait_seconds=DEADLINE)
    yield Inference(repository, threads)
    await repository.close()


def tensor(name: str, data, datatype: str = "FP32") -> Tensor:
    return Tensor(name, datatype, np.array(data, dtype=DTYPES[datatype]))


def counted(rows: int, width: int = 2) -> InferRequest:
    return InferRequest((tensor("x", np.zeros((rows, width))),))


def begin(inference: Inference, name: str, request: InferRequest) -> "asyncio.Future[InferResponse]":
    """The answer, or the refusal, as a future; in the order of the calls."""
    try:
        answer = inference.infer(name, "", request)
    except ModelyardError as error:
        refused: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()
        refused.set_exception(error)
        return refused
    if isinstance(answer, InferResponse):
        ready: asyncio.Future[InferResponse] = asyncio.get_running_loop().create_future()
        ready.set_result(answer)
        return ready
    return asyncio.ensure_future(answer)


async def sizes(answers) -> list[int]:
    """How many rows were in the call of each."""
    async with asyncio.timeout(DEADLINE):
        return [int((await it).outputs[0].data[0, 0]) for it in answers]


async def test_requests_of_one_turn_run_as_one_call_and_get_their_own_rows_back(inference: Inference):
    await inference.repository.load("counts")
    answers = [begin(inference, "counts", counted(rows)) for rows in (1, 2, 1)]
    assert await sizes(answers) == [4, 4, 4]
    assert [(await it).outputs[0].data.shape for it in answers] == [(1, 2), (2, 2), (1, 2)]
    assert await sizes([begin(inference, "counts", counted(1))]) == [1]


async def test_requests_of_different_kinds_do_not_share_a_call(inference: Inference):
    await inference.repository.load("counts")
    answers = [begin(inference, "counts", counted(1, width)) for width in (2, 3, 2, 3, 2)]
    assert await sizes(answers) == [3, 2, 3, 2, 3]


async def test_a_call_takes_no_more_requests_and_rows_than_its_limits(inference: Inference):
    await inference.repository.load("counts-in-fives")
    answers = [begin(inference, "counts-in-fives", counted(1)) for _ in range(12)]
    assert await sizes(answers) == [5] * 10 + [2] * 2
    answers = [begin(inference, "counts-in-fives", counted(rows)) for rows in (200, 50, 50, 500)]
    assert await sizes(answers) == [250, 250, 50, 500]


async def test_a_patient_model_waits_until_the_call_is_full(inference: Inference):
    await inference.repository.load("counts-patiently")
    answers = []
    for _ in range(3):
        answers.append(begin(inference, "counts-patiently", counted(1)))
        await asyncio.sleep(0.01)  # not in the same turn
    assert await sizes(answers) == [3, 3, 3]


async def test_a_patient_model_waits_no_longer_than_it_is_told(inference: Inference):
    await inference.repository.load("counts-a-moment")
    assert await sizes([begin(inference, "counts-a-moment", counted(1))]) == [1]


async def test_a_request_that_went_away_takes_no_part_and_hurts_nobody(inference: Inference):
    await inference.repository.load("counts")
    answers = [begin(inference, "counts", counted(1)) for _ in range(3)]
    answers[1].cancel()
    assert await sizes([answers[0], answers[2]]) == [2, 2]
    in_use = inference.repository.get("counts")
    assert in_use.requests == 0
    gone = [begin(inference, "counts", counted(1)) for _ in range(2)]
    for it in gone:
        it.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    await asyncio.sleep(0)
    assert in_use.requests == 0


async def test_the_error_stays_with_the_request_that_caused_it(inference: Inference):
    await inference.repository.load("picks")
    requests = [InferRequest((tensor("x", [place], "INT64"),)) for place in (0, 99, 3)]
    answers = [begin(inference, "picks", it) for it in requests]
    assert (await answers[0]).outputs[0].data.tolist() == [graphs.TABLE[0]]
    with pytest.raises(InvalidInput, match="cannot take these inputs"):
        await answers[1]
    assert (await answers[2]).outputs[0].data.tolist() == [graphs.TABLE[3]]


async def test_outputs_that_are_no_rows_are_answered_as_alone(inference: Inference):
    await inference.repository.load("doubled")
    answers = [begin(inference, "doubled", InferRequest((tensor("x", [value]),))) for value in (1, 2)]
    assert [(await it).outputs[0].data.tolist() for it in answers] == [[1, 1], [2, 2]]


async def test_an_unload_waits_for_the_call_that_is_being_gathered(inference: Inference):
    await inference.repository.load("counts")
    answers = [begin(inference, "counts", counted(1)) for _ in range(2)]
    in_use = inference.repository.get("counts")
    assert in_use.requests == 2
    unload = asyncio.create_task(inference.repository.unload("counts"))
    assert await sizes(answers) == [2, 2]
    await unload
    assert in_use.requests == 0


async def test_what_came_before_a_reload_runs_on_the_old_model_alone(inference: Inference):
    await inference.repository.load("counts-patiently")
    before = [begin(inference, "counts-patiently", counted(1)) for _ in range(2)]
    old = inference.repository.get("counts-patiently")
    await inference.repository.load("counts-patiently")
    new = inference.repository.get("counts-patiently")
    after = [begin(inference, "counts-patiently", counted(1)) for _ in range(3)]
    assert await sizes(after) == [3, 3, 3]
    assert (old.requests, new.requests) == (2, 0)
    assert not any(it.done() for it in before)  # they still wait for a third, who will not come to the old model
    for it in before:
        it.cancel()


# Models that are not quick: what waits while a call runs is the next call.


def waiting_model(folder: Path, name: str, **settings) -> estimators.Waits:
    """A model that says when it begins, and goes on when it is let."""
    model = estimators.Waits(folder / f"{name}-begun", folder / f"{name}-go")
    artifacts.pickled(folder, name, model)
    artifacts.file(folder, f"{name}/modelyard-model.json", json.dumps(settings).encode())
    return model


def row(value: float) -> InferRequest:
    return InferRequest((tensor("x", [[value]], "FP64"),))


async def until(condition) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_what_waits_while_a_call_runs_is_one_call(inference: Inference, tmp_path: Path):
    model = waiting_model(tmp_path, "waits", batch=True)
    own = Inference(Repository(tmp_path, inference.repository.loader, inference.threads), inference.threads)
    await own.repository.load("waits")
    answers = [begin(own, "waits", row(0))]
    await until(model.begun.exists)
    answers += [begin(own, "waits", row(value)) for value in (1, 2, 3)]
    model.go.touch()
    assert [(await it).outputs[0].data.tolist() for it in answers] == [[[0, 1]], [[1, 3]], [[2, 3]], [[3, 3]]]


async def test_a_slow_model_does_not_keep_another_waiting(inference: Inference, tmp_path: Path):
    slow = waiting_model(tmp_path, "slow")
    artifacts.pickled(tmp_path, "light", estimators.Fails())
    own = Inference(Repository(tmp_path, inference.repository.loader, inference.threads), ThreadPoolExecutor(64))
    for name in ("slow", "light"):
        await own.repository.load(name)
    held = [begin(own, "slow", row(0)) for _ in range(20)]
    await until(slow.begun.exists)
    for _ in range(20):
        with pytest.raises(ModelFailed):
            async with asyncio.timeout(DEADLINE):
                await begin(own, "light", row(0))
    assert not any(it.done() for it in held)
    slow.go.touch()
    await asyncio.gather(*held)


async def test_who_comes_when_too_many_wait_is_told_so_and_the_model_recovers(inference: Inference, tmp_path: Path):
    model = waiting_model(tmp_path, "waits")
    own = Inference(Repository(tmp_path, inference.repository.loader, inference.threads), inference.threads)
    await own.repository.load("waits")
    in_use = own.repository.get("waits")
    in_use.loaded = replace(in_use.loaded, bounds=Bounds(max_concurrency=1, max_queue=2))
    running = begin(own, "waits", row(0))
    await until(model.begun.exists)
    waiting = [begin(own, "waits", row(0)) for _ in range(2)]
    with pytest.raises(TooBusy, match="the model 'waits' is busy: 2 requests wait"):
        await begin(own, "waits", row(0))
    waiting[0].cancel()
    await asyncio.sleep(0)
    waiting.append(begin(own, "waits", row(0)))  # in the place of the one that went away
    model.go.touch()
    await asyncio.gather(running, *waiting[1:])
    assert in_use.requests == 0
    await begin(own, "waits", row(0))


async def test_what_waits_is_bounded_in_bytes_too(inference: Inference, tmp_path: Path):
    model = waiting_model(tmp_path, "waits", max_concurrency=1)
    own = Inference(Repository(tmp_path, inference.repository.loader, inference.threads), inference.threads)
    await own.repository.load("waits")
    large = InferRequest((Tensor("x", "FP64", np.broadcast_to(np.float64(0), (MOST_WAITING_BYTES // 16, 1))),))
    running = begin(own, "waits", row(0))
    await until(model.begun.exists)
    waiting = [begin(own, "waits", large) for _ in range(2)]  # each half of what may wait
    with pytest.raises(TooBusy, match="requests of 512 MiB wait for it"):
        await begin(own, "waits", row(0))
    for it in waiting:
        it.cancel()
    await asyncio.sleep(0)
    again = begin(own, "waits", row(0))
    model.go.touch()
    await asyncio.gather(running, again)


async def test_a_running_call_ends_by_itself_when_its_client_goes_away(inference: Inference, tmp_path: Path):
    model = waiting_model(tmp_path, "waits")
    own = Inference(Repository(tmp_path, inference.repository.loader, inference.threads), inference.threads)
    await own.repository.load("waits")
    gone = begin(own, "waits", row(0))
    await until(model.begun.exists)
    gone.cancel()
    await asyncio.sleep(0)
    in_use = own.repository.get("waits")
    assert in_use.requests == 1
    model.go.touch()
    await until(lambda: in_use.requests == 0)


# Any mix of requests, valid and not, answers each as if it had been alone.

VALUES = st.floats(0, 8, width=32)


def rows_of(width: int):
    row = st.lists(VALUES, min_size=width, max_size=width)
    return st.lists(row, max_size=3).map(lambda found: np.array(found, dtype=np.float32).reshape(-1, width))


def of_forest(draw) -> InferRequest:
    wished = draw(st.lists(st.sampled_from(["output_label", "output_probability", "no"]), max_size=2, unique=True))
    given_rows = draw(rows_of(draw(st.sampled_from([4, 4, 4, 3]))))
    return InferRequest((Tensor("X", "FP32", given_rows),), tuple(RequestedOutput(name) for name in wished))


def of_picks(draw) -> InferRequest:
    return InferRequest((tensor("x", draw(st.lists(st.integers(-5, 4), max_size=3)), "INT64"),))


def of_product(draw) -> InferRequest:
    width = draw(st.integers(1, 2))
    return InferRequest(tuple(Tensor(name, "FP32", draw(rows_of(width))) for name in "ab"))


def of_bytes(draw) -> InferRequest:
    texts = draw(st.lists(st.sampled_from([b"a", b"long enough", "é".encode(), b"\xff"]), max_size=3))
    return InferRequest((Tensor("x", BYTES, np.array(texts, dtype=object)),))


MIX = {"forest": of_forest, "picks": of_picks, "product": of_product, "identity-bytes": of_bytes}


@st.composite
def requests(draw) -> tuple[str, InferRequest]:
    name = draw(st.sampled_from(sorted(MIX)))
    return name, MIX[name](draw)


async def outcome(answer: "asyncio.Future[InferResponse]"):
    try:
        found = await answer
    except ModelyardError as error:
        return type(error), str(error)
    return [(it.name, it.datatype, it.data.shape, it.data.dtype, it.data.tolist()) for it in found.outputs]


class Running:
    """Two inferences on a loop of their own, one of which never lets requests share a call."""

    def __init__(self, folder: Path, threads: ThreadPoolExecutor) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.both = [
            Inference(
                Repository(folder, lambda it, order, batch=batch: load(it, Options(batch=batch), order), threads),
                threads,
            )
            for batch in (True, False)
        ]
        for it in self.both:
            for name in (*MIX, "iris-onnx"):
                self.run(it.repository.load(name))

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE)

    def end(self) -> None:
        for it in self.both:
            self.run(it.repository.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(DEADLINE)
        self.loop.close()

    async def compare(self, mix):
        together, alone = self.both
        expected = [await outcome(begin(alone, name, request)) for name, request in mix]
        answers = [begin(together, name, request) for name, request in mix]
        found = [await outcome(it) for it in answers]
        assert {together.repository.get(name).requests for name, _ in mix} <= {0}
        return found, expected


@pytest.fixture(scope="module")
def running(folder: Path, threads: ThreadPoolExecutor) -> Iterator[Running]:
    it = Running(folder, threads)
    yield it
    it.end()
    gc.collect()


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_mix_of_requests_is_answered_bit_for_bit_as_each_alone(running: Running, data: st.DataObject):
    mix = data.draw(st.lists(requests(), min_size=1, max_size=12))
    found, expected = running.run(running.compare(mix))
    assert found == expected


def test_a_linear_model_answers_the_same_labels_and_probabilities_to_the_last_bits(running: Running):
    """Its matrix product adds up in another order for more rows: so it does for a client who sends many rows."""
    rows = load_iris(return_X_y=True)[0].astype(np.float32)
    mix = [("iris-onnx", InferRequest((Tensor("X", "FP32", rows[[place]]),))) for place in range(60)]
    found, expected = running.run(running.compare(mix))
    for mine, theirs in zip(found, expected, strict=True):
        assert mine[0] == theirs[0]
        assert np.allclose(mine[1][4], theirs[1][4], rtol=0, atol=1e-6)
