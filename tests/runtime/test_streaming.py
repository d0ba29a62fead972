"""Models that answer in parts: when each is computed, and what is left when nobody wants more."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import ModelFailed
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.inference import Inference
from modelyard.runtime.model import Signature
from modelyard.runtime.repository import Repository
from modelyard.wire.oip.nouns import InferRequest, InferResponse, Tensor, TensorMetadata

DEADLINE = 20


class Counts:
    """Counts up to its input; notes what it was asked for, and fails at 13."""

    quick = False
    signature = Signature("test", (TensorMetadata("n", "INT64", (1,)),), (TensorMetadata("i", "INT64", (1,)),), ("i",))

    def __init__(self) -> None:
        self.given: list[int] = []
        self.threads: set[int] = set()
        self.closed = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def fit(self, request: InferRequest):
        return {it.name: it.data for it in request.inputs}

    def predict(self, _inputs, _outputs: Sequence[str]) -> Sequence[Tensor]:
        raise AssertionError("a stream was asked for")

    def stream(self, inputs, _outputs: Sequence[str]) -> Iterator[Sequence[Tensor]]:
        try:
            if inputs["n"][0] < 0:
                raise InvalidInput("tensor 'n' must not be negative")
            for number in range(int(inputs["n"][0])):
                assert self.go.wait(DEADLINE)
                self.threads.add(threading.get_ident())
                if number == 13:
                    raise SystemExit(3)
                self.given.append(number)
                yield [Tensor("i", "INT64", np.array([number]))]
        finally:
            self.closed.set()


@pytest.fixture
def model() -> Counts:
    return Counts()


@pytest.fixture
async def inference(tmp_path: Path, model: Counts):
    (tmp_path / "m").mkdir()
    with ThreadPoolExecutor(2) as threads:
        repository = Repository(tmp_path, lambda _, __: LoadedModel("m", "1", model), threads)  # type: ignore[arg-type]
        await repository.load("m")
        yield Inference(repository, threads)
        model.go.set()


def ask(inference: Inference, count: int):
    return inference.stream("m", "", InferRequest((Tensor("n", "INT64", np.array([count])),), id="7"))


def number(answer: InferResponse) -> int:
    return int(answer.outputs[0].data[0])


async def until(condition) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_parts_come_in_order_from_threads_with_the_names_of_model_and_request(inference, model):
    answers = [it async for it in ask(inference, 5)]
    assert [number(it) for it in answers] == [0, 1, 2, 3, 4]
    assert {(it.model, it.version, it.id) for it in answers} == {("m", "1", "7")}
    assert threading.get_ident() not in model.threads
    assert inference.repository.get("m").requests == 0


async def test_a_part_is_computed_when_the_one_before_was_taken(inference, model):
    answers = ask(inference, 5)
    assert number(await anext(answers)) == 0
    await asyncio.sleep(0)
    assert model.given == [0]
    assert number(await anext(answers)) == 1
    assert model.given == [0, 1]
    await answers.aclose()


async def test_who_wants_no_more_ends_the_model(inference, model):
    answers = ask(inference, 5)
    await anext(answers)
    await answers.aclose()
    await until(model.closed.is_set)
    assert model.given == [0]
    await until(lambda: inference.repository.get("m").requests == 0)


async def test_a_client_that_goes_away_while_a_part_is_computed_ends_the_model_after_it(inference, model):
    answers = ask(inference, 5)
    await anext(answers)
    model.go.clear()
    waiting = asyncio.create_task(anext(answers))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert inference.repository.get("m").requests == 1
    assert not model.closed.is_set()
    model.go.set()
    await until(lambda: inference.repository.get("m").requests == 0)
    assert model.closed.is_set()


@pytest.mark.parametrize(
    ("count", "error", "says", "before"),
    [(-1, InvalidInput, "must not be negative", 0), (20, ModelFailed, "the model 'm' failed: SystemExit", 13)],
    ids=["the client's fault", "the model's fault"],
)
async def test_an_error_ends_the_stream_after_what_came_before(inference, model, count, error, says, before):
    answers = ask(inference, count)
    assert [number(await anext(answers)) for _ in range(before)] == list(range(before))
    with pytest.raises(error, match=says):
        await anext(answers)
    assert model.closed.is_set()
    assert inference.repository.get("m").requests == 0
