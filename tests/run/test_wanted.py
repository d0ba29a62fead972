from collections.abc import Mapping

import pytest

from modelyard.domain.model import Replicas
from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest, ServerNotice
from modelyard.run import wanted
from modelyard.run.replica import ReplicaSettings

GIB = 1 << 30
SETTINGS = ReplicaSettings(GIB, ("modelyard", "mlflow", "onnx", "python", "sklearn"))


def server(name: str = "local", replicas: int = 1, **fields: object) -> ServerManifest:
    return ServerManifest(name, Replicas(replicas), **fields)  # type: ignore[arg-type]


def there(*indexes: int, name: str = "local") -> Mapping[ReplicaId, ReplicaSettings]:
    return {ReplicaId(name, index): SETTINGS for index in indexes}


def local(*indexes: int) -> list[ReplicaId]:
    return [ReplicaId("local", index) for index in indexes]


@pytest.mark.parametrize(
    ("manifests", "running", "start", "stop"),
    [
        pytest.param([], there(), [], [], id="nothing wanted, nothing there"),
        pytest.param([server(replicas=2)], there(), local(0, 1), [], id="a new server starts all its replicas"),
        pytest.param([server(replicas=2)], there(0, 1), [], [], id="what is there stays"),
        pytest.param([server(replicas=3)], there(0, 1), local(2), [], id="more replicas take the next indexes"),
        pytest.param([server(replicas=1)], there(0, 1, 2), [], local(2, 1), id="fewer: the highest index goes first"),
        pytest.param([server(replicas=2)], there(1), local(0), [], id="a gap is filled"),
        pytest.param([server(replicas=0)], there(0, 1), [], local(1, 0), id="zero replicas stop all"),
        pytest.param([], there(0, 1), [], local(1, 0), id="a deleted server stops all"),
    ],
)
def test_starts_and_stops(
    manifests: list[ServerManifest],
    running: Mapping[ReplicaId, ReplicaSettings],
    start: list[ReplicaId],
    stop: list[ReplicaId],
) -> None:
    plan = wanted.decide(manifests, running)
    assert (list(plan.start), list(plan.stop), dict(plan.change)) == (start, stop, {})


def test_other_settings_change_a_replica_in_place() -> None:
    plan = wanted.decide([server(memory_bytes=2 * GIB)], there(0))
    assert plan.change == {ReplicaId("local", 0): ReplicaSettings(2 * GIB, SETTINGS.capabilities)}
    assert not plan.start
    assert not plan.stop


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        pytest.param(
            server(server_config="mlsever"),
            "there is no serverConfig 'mlsever': use mlserver, modelyard, triton",
            id="an unknown server config",
        ),
        pytest.param(server(overcommit_percent=10), "overcommit of 10 %", id="overcommit"),
        pytest.param(server(replicas=10_000), "at most 64", id="a slip of the keyboard"),
    ],
)
def test_what_cannot_be_run_is_refused_and_what_runs_goes_on(manifest: ServerManifest, reason: str) -> None:
    plan = wanted.decide([manifest], there(0))
    assert reason in plan.refused["local"]
    assert (plan.start, plan.change, plan.stop) == ({}, {}, ())


def test_capabilities_replace_and_extras_add() -> None:
    assert wanted.settings(server(capabilities=("onnx",), extra_capabilities=("gpu", "onnx"))).capabilities == (
        "onnx",
        "gpu",
    )
    assert wanted.settings(server()).capabilities == wanted.BUILT_IN_CAPABILITIES


def test_what_is_installed_beside_is_announced_unless_a_manifest_says_its_own() -> None:
    built_in = (*wanted.BUILT_IN_CAPABILITIES, "xgboost")
    manifests = [server("a"), server("b", capabilities=("onnx",)), server("c", extra_capabilities=("gpu",))]
    plan = wanted.decide(manifests, {}, {"modelyard": built_in})
    assert [it.capabilities for it in plan.start.values()] == [built_in, ("onnx",), (*built_in, "gpu")]


def test_each_kind_of_server_offers_its_own() -> None:
    plan = wanted.decide([server(server_config="mlserver")], {}, {"mlserver": ("mlserver", "sklearn")})
    expected = ReplicaSettings(GIB, ("mlserver", "sklearn"), server_config="mlserver")
    assert plan.start == {ReplicaId("local", 0): expected}


def test_a_server_of_another_kind_takes_the_place_of_the_old_one_once_that_is_gone() -> None:
    manifests = [server(replicas=2, server_config="mlserver")]
    plan = wanted.decide(manifests, there(0, 1))
    assert (list(plan.start), list(plan.change), list(plan.stop)) == ([], [], local(1, 0))
    plan = wanted.decide(manifests, there(0))
    assert (list(plan.start), list(plan.stop)) == (local(1), local(0))


def test_the_scheduler_is_told_of_what_is_run_and_of_what_went_away() -> None:
    manifests = [ServerManifest("a", Replicas(2, 1, 3)), server("b", server_config="triton")]
    assert wanted.notices(manifests, gone={"a", "c"}, refused={"b": "no"}) == (
        ServerNotice("a", 2, minimum=1, maximum=3),
        ServerNotice("c", 0),
    )
