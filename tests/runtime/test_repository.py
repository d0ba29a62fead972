"""Loading and unloading: one at a time, joined, atomic; the real loader, held where a test wants it held."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.runtime.errors import NotLoaded, OutOfMemory
from modelyard.runtime.formats.load import LoadedModel, Options, load
from modelyard.runtime.repository import Repository
from modelyard.wire.oip.loading import LoadOrder
from tests.runtime import artifacts

DEADLINE = 20


class Gate:
    """The real loader behind a gate that is open until it is closed; counts the loads."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.loads = 0

    def __call__(self, folder: Path, order: LoadOrder) -> LoadedModel:
        self.loads += 1
        assert self.open.wait(DEADLINE)
        return load(folder, Options(), order)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def repository(tmp_path: Path, gate: Gate) -> Iterator[Repository]:
    artifacts.file(tmp_path, "a/model.onnx", artifacts.identity("FP32"))
    artifacts.file(tmp_path, "b/3/model.onnx", artifacts.identity("FP32"))
    artifacts.file(tmp_path, "broken/model.onnx", b"nothing")
    with ThreadPoolExecutor(2) as threads:
        yield Repository(tmp_path, gate, threads, unload_wait_seconds=DEADLINE)
        gate.open.set()


def states(repository: Repository) -> dict[str, str]:
    return {it.name: it.state for it in repository.index()}


async def until(condition) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_model_is_found_between_its_load_and_its_unload(repository: Repository):
    with pytest.raises(NotLoaded):
        repository.get("b")
    assert (await repository.load("b")).held.version == "3"
    assert repository.get("b", "3").loaded.name == "b"
    with pytest.raises(NotFound, match="version 3 is loaded"):
        repository.get("b", "4")
    await repository.unload("b")
    with pytest.raises(NotLoaded):
        repository.get("b")
    assert states(repository)["b"] == "UNAVAILABLE"


async def test_loads_at_the_same_time_are_one_load(repository: Repository, gate: Gate):
    gate.open.clear()
    loads = [asyncio.create_task(repository.load("a")) for _ in range(5)]
    await until(lambda: states(repository)["a"] == "LOADING")
    gate.open.set()
    assert len({report.load_ms for report in await asyncio.gather(*loads)}) == 1
    assert gate.loads == 1


async def test_a_caller_who_goes_away_does_not_stop_the_load(repository: Repository, gate: Gate):
    gate.open.clear()
    gone = asyncio.create_task(repository.load("a"))
    await until(lambda: gate.loads == 1)
    gone.cancel()
    await asyncio.wait([gone])
    gate.open.set()
    await until(lambda: states(repository)["a"] == "READY")


async def test_different_models_load_side_by_side(repository: Repository, gate: Gate):
    gate.open.clear()
    loads = [asyncio.create_task(repository.load(name)) for name in ("a", "b")]
    await until(lambda: gate.loads == 2)
    gate.open.set()
    await asyncio.gather(*loads)


async def test_the_old_model_serves_until_its_successor_is_ready(repository: Repository, gate: Gate):
    await repository.load("a")
    old = repository.get("a").loaded
    gate.open.clear()
    reload = asyncio.create_task(repository.load("a"))
    await until(lambda: gate.loads == 2)
    assert repository.get("a").loaded is old
    assert states(repository)["a"] == "READY"
    gate.open.set()
    await reload
    assert repository.get("a").loaded is not old


async def test_the_old_model_stays_when_its_successor_fails(repository: Repository):
    await repository.load("a")
    old = repository.get("a").loaded
    (repository.folder / "a/model.onnx").write_bytes(b"nothing")
    with pytest.raises(InvalidInput):
        await repository.load("a")
    assert repository.get("a").loaded is old
    entry = next(it for it in repository.index() if it.name == "a")
    assert (entry.state, "the last reload failed" in entry.reason) == ("READY", True)


async def test_a_failed_load_says_why_in_the_index(repository: Repository):
    with pytest.raises(InvalidInput, match=r"ONNX Runtime cannot load model\.onnx"):
        await repository.load("broken")
    entry = next(it for it in repository.index() if it.name == "broken")
    assert entry.state == "UNAVAILABLE"
    assert "ONNX Runtime cannot load" in entry.reason
    assert [it.name for it in repository.index(ready_only=True)] == []


async def test_an_unload_waits_for_the_requests_that_use_the_model(repository: Repository):
    await repository.load("a")
    in_use = repository.get("a")
    in_use.begin()
    unload = asyncio.create_task(repository.unload("a"))
    await until(lambda: states(repository)["a"] == "UNLOADING")
    with pytest.raises(NotLoaded):
        repository.get("a")
    assert not unload.done()
    in_use.end()
    await unload


async def test_an_unload_does_not_wait_for_ever(repository: Repository):
    repository.unload_wait_seconds = 0.01
    await repository.load("a")
    repository.get("a").begin()
    await repository.unload("a")
    assert states(repository)["a"] == "UNAVAILABLE"


async def test_what_is_asked_of_one_model_happens_in_order(repository: Repository, gate: Gate):
    gate.open.clear()
    asked = [
        asyncio.create_task(work)
        for work in (repository.load("a"), repository.unload("a"), repository.load("a"), repository.unload("a"))
    ]
    await until(lambda: gate.loads == 1)
    gate.open.set()
    await asyncio.gather(*asked)
    assert gate.loads == 2
    assert states(repository)["a"] == "UNAVAILABLE"


@pytest.mark.parametrize("name", ["nowhere"])
async def test_what_is_not_in_the_folder_is_not_found(repository: Repository, name: str):
    with pytest.raises(NotFound, match="no model 'nowhere'"):
        await repository.load(name)
    with pytest.raises(NotFound, match="no model 'nowhere'"):
        await repository.unload(name)
    assert name not in states(repository)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a\0"])
async def test_a_name_cannot_lead_out_of_the_folder(repository: Repository, name: str):
    with pytest.raises(InvalidInput, match="cannot name a model"):
        await repository.load(name)
    with pytest.raises(NotFound):
        await repository.unload(name)


async def test_unloading_what_is_not_loaded_is_done_already(repository: Repository):
    await repository.unload("a")


async def test_too_little_memory_is_told_apart_from_a_bad_artifact(tmp_path: Path):
    # The pickle asks for 2**60 bytes.
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.pkl").write_bytes(b"c__builtin__\nbytearray\n(L%dL\ntR." % 2**60)
    with ThreadPoolExecutor(1) as threads:
        repository = Repository(tmp_path, lambda folder, order: load(folder, Options(), order), threads)
        with pytest.raises(OutOfMemory, match="not enough memory to load"):
            await repository.load("m")
    assert OutOfMemory.http_status == 507
