"""Both clients, against a whole running system."""

import asyncio
import gc
import inspect
import re
import signal
import socket
import threading
import time
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelyard
from modelyard import AsyncClient, Client
from modelyard.domain.status import ApplyOutcome, ModelState
from modelyard.kit.errors import InvalidInput, NotFound, Refused, TimedOut, Unavailable
from tests.e2e.yard import EXAMPLES, IRIS, IRIS_CLASSES, Yard

IRIS_FOLDER = str(EXAMPLES / "models" / "iris-onnx")


def public(kind: type) -> dict[str, Any]:
    return {name: it for name, it in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_both_clients_have_the_same_methods_with_the_same_signatures() -> None:
    asynchronous, blocking = public(AsyncClient), public(Client)
    assert asynchronous.keys() == blocking.keys()
    assert len(blocking) > 15
    for name, method in blocking.items():
        assert inspect.signature(method) == inspect.signature(asynchronous[name]), name
        assert method.__doc__, name
        assert not inspect.iscoroutinefunction(method), name
        assert not inspect.isasyncgenfunction(method), name
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


def test_every_method_is_typed() -> None:
    for name, method in public(AsyncClient).items():
        signature = inspect.signature(method)
        assert signature.return_annotation is not inspect.Signature.empty, name
        assert all(it.annotation is not it.empty for key, it in signature.parameters.items() if key != "self"), name


def test_the_clients_are_imported_only_when_asked_for() -> None:
    assert typing.cast(Any, modelyard).Client is Client
    with pytest.raises(AttributeError, match="no attribute 'Cleint'"):
        _ = modelyard.Cleint


def client_threads() -> list[threading.Thread]:
    """grpc.aio keeps one thread of its own for the whole process."""
    return [it for it in threading.enumerate() if it.name == "modelyard-client"]


def test_a_client_leaves_no_thread_behind() -> None:
    assert client_threads() == []
    client = Client("127.0.0.1:1", "127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"cannot reach the scheduler at 127.0.0.1:1"):
        client.models()
    with pytest.raises(Unavailable, match=r"cannot reach the gateway at 127.0.0.1:1"):
        client.ready("iris")
    with pytest.raises(Unavailable, match=r"cannot reach the gateway at 127.0.0.1:1"):
        client.infer("iris", {"X": IRIS}, protocol="grpc")
    client.close()
    client.close()
    assert client_threads() == []
    with pytest.raises(Refused, match="this client is closed"):
        client.models()


def test_ctrl_c_ends_a_call_at_once() -> None:
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    with socket.create_server(("127.0.0.1", 0)) as silent, Client(f"127.0.0.1:{silent.getsockname()[1]}") as client:

        def interrupt() -> None:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)  # the call is on its way
                signal.pthread_kill(main_thread, signal.SIGINT)
                connection.recv(1 << 20)

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            client.models()
        client.close()
        interrupter.join()


def test_a_client_that_is_forgotten_ends_its_thread() -> None:
    assert client_threads() == []
    client = Client("127.0.0.1:1", "127.0.0.1:1")
    assert len(client_threads()) == 1
    del client
    gc.collect()
    deadline = time.monotonic() + 30
    while client_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert client_threads() == []


def test_what_cannot_be_right_is_refused_before_anything_is_sent() -> None:
    with Client("127.0.0.1:1", "127.0.0.1:1") as client:
        for wrong in (
            lambda: client.load("No.Name", "u"),
            lambda: client.load("m", "u", memory="1GB"),
            lambda: client.load("m", "u", replicas=0),
            lambda: client.load("m", "u", replicas=1, min_replicas=2),
            lambda: client.unload(""),
            lambda: client.apply(),
            lambda: client.apply(text="kind: Modle"),
            lambda: client.infer("m", {"X": np.array([1j])}),
            lambda: client.infer("m", {"X": np.array([np.inf])}),
            lambda: client.infer_json("m", {"inputs": 3}),
        ):
            with pytest.raises(InvalidInput):
                wrong()


@pytest.mark.e2e
@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_model_is_loaded_asked_and_unloaded(shared_yard: Yard, protocol: Any) -> None:
    name = f"plain-{protocol}"
    with Client(state_dir=shared_yard.state_dir) as client:
        applied = client.load(name, IRIS_FOLDER, requires=["onnx"], memory="1Mi")
        assert (applied.subject, applied.outcome, applied.version) == (f"model/{name}", ApplyOutcome.CREATED, 1)
        status = client.wait(name)
        assert status is not None
        assert status.versions[-1].state is ModelState.AVAILABLE
        assert client.ready(name)
        assert [it.name for it in client.metadata(name).inputs] == ["X"]

        answer = client.infer(name, {"X": IRIS}, protocol=protocol, id="mine", headers={"X-Request-Id": "id-1"})
        assert answer["label"].tolist() == IRIS_CLASSES
        assert (answer.model, answer.id) == (f"{name}_1", "mine")
        assert (answer.headers["x-request-id"], answer.headers["x-seldon-route"]) == ("id-1", f":{name}_1:")
        only = client.infer(name, IRIS, outputs=["label"], protocol=protocol)
        assert list(only.outputs) == ["label"]
        np.testing.assert_array_equal(np.asarray(only), IRIS_CLASSES)

        with pytest.raises(InvalidInput, match="'X' is missing"):
            client.infer(name, {"Y": IRIS}, protocol=protocol)
        assert client.load(name, IRIS_FOLDER, requires=["onnx"], memory="1Mi").outcome is ApplyOutcome.UNCHANGED
        assert client.explain(name).explanation.placed
        assert [it.subject for it in client.events(f"model/{name}", limit=2)] == [f"model/{name}"] * 2
        client.unload(name)
        assert client.wait(name, condition="Deleted") is None
        with pytest.raises(NotFound, match=name):
            client.infer(name, {"X": IRIS}, protocol=protocol)
        with pytest.raises(NotFound):
            client.model(name)
        assert not client.ready(name)


@pytest.mark.e2e
async def test_the_same_from_coroutines(shared_yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "apiVersion: mlops.seldon.io/v1alpha1\nkind: Model\nmetadata: {name: coroutine}\n"
        f"spec: {{storageUri: {IRIS_FOLDER}, requirements: [onnx], memory: 1Mi, logger: {{percent: 1}}}}\n"
    )
    async with AsyncClient(state_dir=shared_yard.state_dir) as client:
        (dry,) = await client.apply(tmp_path, dry_run=True)
        assert dry.explanation is not None
        assert dry.explanation.placed
        (applied,) = await client.apply(tmp_path)
        assert applied.notes == ("spec.logger has no effect yet",)
        await client.wait("coroutine")
        answers = await asyncio.gather(
            *(client.infer("coroutine", IRIS, protocol=it) for it in ("rest", "grpc") for _ in range(20))
        )
        assert all(it["label"].tolist() == IRIS_CLASSES for it in answers)
        assert "coroutine" in [it.name for it in await client.models()]
        (server,) = await client.servers()
        assert (await client.server("local")).name == server.name == "local"
        with pytest.raises(NotFound):
            await client.server("elsewhere")
        assert (await client.status()).providers == 1
        await client.unload("coroutine")
        await client.wait("coroutine", condition="Deleted")


@pytest.mark.e2e
def test_a_watch_tells_of_changes_and_may_be_left(shared_yard: Yard) -> None:
    with Client(state_dir=shared_yard.state_dir) as client:
        client.load("seen", IRIS_FOLDER, requires=["onnx"], memory="1Mi")
        for status in client.watch_models():
            if status.name == "seen" and status.versions[-1].state is ModelState.AVAILABLE:
                break
        client.unload("seen")


@pytest.mark.e2e
def test_waiting_ends_in_time_with_the_reason(shared_yard: Yard, tmp_path: Path) -> None:
    with Client(state_dir=shared_yard.state_dir) as client:
        applied = client.load("too-big", tmp_path, memory="1Ti")
        assert applied.explanation is not None
        assert not applied.explanation.placed
        with pytest.raises(
            TimedOut, match=r"model/too-big was not Available within 0.2 s: version 1 is ScheduleFailed"
        ):
            client.wait("too-big", timeout_seconds=0.2)
        assert client.wait("too-big", condition="Unavailable") is not None
        client.unload("too-big")
        with pytest.raises(NotFound):
            client.wait("unheard-of")


@pytest.mark.e2e
def test_threads_may_share_a_client(shared_yard: Yard) -> None:
    with Client(state_dir=shared_yard.state_dir) as client:
        client.load("shared", IRIS_FOLDER, requires=["onnx"], memory="1Mi", replicas=2)
        client.wait("shared")
        labels: list[list[int]] = []
        threads = [
            threading.Thread(target=lambda: labels.append(client.infer("shared", IRIS)["label"].tolist()))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert labels == [IRIS_CLASSES] * 8
        client.unload("shared")


def test_the_docs_tell_of_every_method_and_every_parameter() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "client.md").read_text()
    for name, method in public(Client).items():
        calls = " ".join(re.findall(rf"`{name}\(([^`]*)\)`", text))
        assert f"`{name}(" in text, name
        for parameter in list(inspect.signature(method).parameters)[1:]:
            assert re.search(rf"\b{parameter}\b", calls), f"{name}({parameter})"


async def test_a_blocking_client_can_be_closed_beside_a_running_loop() -> None:
    client = Client(scheduler="127.0.0.1:1", gateway="127.0.0.1:1")
    client.close()
    client.close()
