from rich.console import Console

from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig
from modelyard.domain.status import (
    GatewayStatus,
    RefusedResource,
    ReplicaModelState,
    ReplicaModelStatus,
    ReplicaState,
    ReplicaStatus,
    ServerStatus,
    SystemStatus,
)
from modelyard.run import table
from modelyard.run.overview import Overview

GIB = 1 << 30
REPLICA = ReplicaId("local", 1)


def drawn(now: Overview | None) -> str:
    console = Console(width=140, no_color=True)
    with console.capture() as capture:
        console.print(table.draw("Modelyard", now))
    return capture.get()


def model(name: str, state: ReplicaModelState = ReplicaModelState.AVAILABLE) -> ReplicaModelStatus:
    return ReplicaModelStatus(VersionId(name, 2), REPLICA, state, "", 0.0)


def overview(*models: ReplicaModelStatus, system: SystemStatus | None = None) -> Overview:
    config = ReplicaConfig("127.0.0.1", 1, 2, GIB)
    replica = ReplicaStatus(REPLICA, ReplicaState.CONNECTED, "", 0.0, config, GIB // 2, models)
    expected = ReplicaStatus(ReplicaId("local", 2), ReplicaState.EXPECTED, "", 0.0, None)
    gateways = (GatewayStatus("gateway", True, 0.0),)
    server = ServerStatus("local", True, None, None, (expected, replica))
    return Overview(system or SystemStatus("1", 0.0, gateways=gateways), (server,))


def test_a_replica_shows_its_state_memory_and_models() -> None:
    lines = drawn(overview(model("iris"), model("new", ReplicaModelState.LOADING))).splitlines()
    assert lines[0] == "Modelyard"
    assert lines[2].split() == [
        *("local", "1", "connected", "512Mi", "of", "1Gi", "━━━━━━━━━━"),
        *("iris_2,", "new_2", "(Loading)"),
    ]
    assert lines[3].split() == ["local", "2", "expected", "-", "-"]


def test_many_models_are_counted() -> None:
    assert "and 4 more" in drawn(overview(*(model(f"m{number}") for number in range(10))))


def test_what_is_wrong_is_said_below() -> None:
    system = SystemStatus(
        "1",
        0.0,
        waiting_for="two agents",
        refusals=(RefusedResource("gateway", "iris", "unknown cluster"),),
        warnings=("the journal was set aside",),
    )
    said = drawn(overview(system=system))
    for sentence in (
        "no gateway is connected",
        "waiting for two agents",
        "refused by gateway: iris: unknown cluster",
        "the journal was set aside",
    ):
        assert sentence in said


def test_a_silent_scheduler_is_said() -> None:
    assert "the scheduler does not answer" in drawn(None)
