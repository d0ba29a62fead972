"""kill -9 of every part while requests flow: what did not touch it never fails, and all recovers by itself."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from modelyard import Client
from modelyard.kit.errors import Unavailable
from tests.e2e.yard import IRIS_CLASSES, Traffic, Yard, assert_nothing_left, classes, load_iris, running, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with running(tmp_path_factory.mktemp("yard"), "--replicas", "2") as it:
        yield it


@pytest.fixture
def client(yard: Yard) -> Iterator[Client]:
    with yard.client() as it:
        yield it


@pytest.fixture
def homes(yard: Yard, client: Client) -> dict[int, str]:
    """By replica, a model that is on this one only; loaded once, they stay."""
    known = {model.name for model in client.models()}
    for name in ("one", "two", "both"):
        if name not in known:
            load_iris(client, name, replicas=2 if name == "both" else 1)
    yard.until_whole(client)
    found: dict[int, str] = {}
    for name in ("one", "two"):
        client.wait(name, timeout_seconds=60)
        found[replica_of(client, name)] = name
    assert set(found) == {0, 1}, "the scheduler spreads models over replicas"
    return found


def replica_of(client: Client, name: str) -> int:
    where = [
        replica.replica.index
        for server in client.servers()
        for replica in server.replicas
        if any(held.version.model == name for held in replica.models)
    ]
    assert len(where) == 1, f"{name} is on {where}"
    return where[0]


def assert_answers(client: Client, *names: str) -> None:
    for name in names:
        for protocol in ("rest", "grpc"):
            assert classes(client, name, protocol) == IRIS_CLASSES


def test_no_request_fails_while_the_scheduler_is_gone(yard: Yard, client: Client, homes: dict[int, str]) -> None:
    with Traffic(yard, ["one", "two", "both"]) as traffic:
        traffic.until_more()
        before = yard.kill("scheduler")
        traffic.until_more()
        after = yard.until_restarted(before)
        yard.until_whole(client)
        traffic.until_more()
    assert traffic.failures == []
    assert after.ports == before.ports
    assert {model.name for model in client.models()} >= set(homes.values())
    load_iris(client, "after-the-scheduler")
    assert_answers(client, "after-the-scheduler")


def test_requests_go_on_once_envoy_is_back(yard: Yard, client: Client, homes: dict[int, str]) -> None:
    before = yard.kill("gateway")
    after = yard.until_restarted(before)
    yard.until_whole(client)
    assert after.ports == before.ports

    def answers() -> bool:
        try:
            return all(client.ready(name) for name in homes.values())
        except Unavailable:  # it listens only once it knows all routes
            return False

    until(answers, "the models are routed again")
    with Traffic(yard, list(homes.values())) as traffic:
        traffic.until_more()
    assert traffic.failures == []


@pytest.mark.parametrize("index", [0, 1])
def test_no_request_fails_while_an_agent_is_gone(yard: Yard, client: Client, homes: dict[int, str], index: int) -> None:
    runtime = yard.part(f"runtime-local-{index}")
    with Traffic(yard, [*homes.values(), "both"]) as traffic:
        traffic.until_more()
        before = yard.kill(f"agent-local-{index}")
        traffic.until_more()
        yard.until_restarted(before)
        yard.until_whole(client)
        traffic.until_more()
    assert traffic.failures == []
    assert yard.part(f"runtime-local-{index}").pid == runtime.pid
    assert replica_of(client, homes[index]) == index


@pytest.mark.parametrize("index", [0, 1])
def test_no_request_to_another_replica_fails_while_a_runtime_is_gone(
    yard: Yard, client: Client, homes: dict[int, str], index: int
) -> None:
    with Traffic(yard, [homes[1 - index]]) as traffic:
        traffic.until_more()
        before = yard.kill(f"runtime-local-{index}")
        traffic.until_more()
        after = yard.until_restarted(before)
        traffic.until_more()
        until(lambda: client.ready(homes[index]), "the model of the killed runtime is loaded again")
        traffic.until_more()
    assert traffic.failures == []
    assert after.ports == before.ports
    yard.until_whole(client)
    assert_answers(client, homes[index], "both")
    assert f"runtime-local-{index} was killed by SIGKILL; starting it again" in yard.log("up")


def test_a_model_that_loses_its_server_asks_its_clients_to_try_again(
    yard: Yard, client: Client, homes: dict[int, str]
) -> None:
    """A model that exists is never "not found" while its server is started again and loads it."""
    body = {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}
    url = f"http://{yard.system().gateway}/v2/models/{homes[0]}/infer"
    statuses: set[int] = set()
    killed = yard.kill("runtime-local-0")

    def answers() -> bool:
        statuses.add(httpx.post(url, json=body, timeout=10).status_code)
        return 200 in statuses

    until(answers, "the model answers again")
    assert statuses <= {200, 503}
    yard.until_restarted(killed)
    yard.until_whole(client)


def test_a_killed_supervisor_leaves_the_parts_serving_and_the_next_one_adopts_them(tmp_path: Path) -> None:
    with running(tmp_path, "--replicas", "2") as yard, yard.client() as client:
        load_iris(client, "both", replicas=2)
        before = yard.system()
        with Traffic(yard, ["both"]) as traffic:
            traffic.until_more()
            before.process.signal(signal.SIGKILL)
            until(lambda: not before.process.is_alive(), "up is gone")
            traffic.until_more()
            yard.up()
            traffic.until_more()
        assert traffic.failures == []
        after = yard.system()
        assert after.pid != before.pid
        assert {part.name: part.pid for part in after.parts} == {part.name: part.pid for part in before.parts}
        # Adopted parts are watched like any others.
        killed = yard.kill("runtime-local-0")
        assert yard.until_restarted(killed).ports == killed.ports
        yard.until_whole(client)
        last = yard.system()
        yard.down()
        assert_nothing_left(yard, last)


def test_what_died_while_no_supervisor_was_there_is_started_by_the_next_on_its_ports(tmp_path: Path) -> None:
    with running(tmp_path, "--replicas", "2") as yard, yard.client() as client:
        load_iris(client, "both", replicas=2)
        before = yard.system()
        before.process.signal(signal.SIGKILL)
        until(lambda: not before.process.is_alive(), "up is gone")
        dead = [yard.kill(name) for name in ("runtime-local-1", "scheduler")]
        until(lambda: not any(part.process.is_alive() for part in dead), "they are gone")
        yard.up()
        yard.until_whole(client)
        client.wait("both", timeout_seconds=60)
        assert_answers(client, "both")
        after = {part.name: part for part in yard.system().parts}
        assert {name: dict(part.ports) for name, part in after.items()} == {
            part.name: dict(part.ports) for part in before.parts
        }
        changed = {part.name for part in before.parts if after[part.name].pid != part.pid}
        assert changed == {"runtime-local-1", "scheduler"}


def test_down_ends_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    with running(tmp_path, "--replicas", "1") as yard:
        before = yard.system()
        before.process.signal(signal.SIGKILL)
        until(lambda: not before.process.is_alive(), "up is gone")
        said = yard.down()
        assert "stopped what a killed `modelyard up` had left" in said
        assert_nothing_left(yard, before)


def test_an_up_with_other_ports_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    with running(tmp_path, "--replicas", "1") as yard:
        before = yard.system()
        before.process.signal(signal.SIGKILL)
        until(lambda: not before.process.is_alive(), "up is gone")
        yard.port_base += 10
        yard.up()
        after = yard.system()
        assert after.gateway == f"127.0.0.1:{yard.port_base}"
        running_still = {part.name for part in before.parts if part.process.is_alive()}
        assert running_still <= {"runtime-local-0"}  # it knows nothing of the fixed ports
        with yard.client() as client:
            load_iris(client, "iris")
            assert_answers(client, "iris")
