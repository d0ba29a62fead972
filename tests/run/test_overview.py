import pytest

from modelyard.domain.model import Replicas
from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest
from modelyard.domain.status import GatewayStatus, ReplicaState, ReplicaStatus, ServerStatus, SystemStatus
from modelyard.run.overview import Overview, missing

LOCAL = ServerManifest("local", Replicas(2))
TRITON = ServerManifest("triton", server_config="unheard-of")


def overview(*states: ReplicaState, gateway: bool = True) -> Overview:
    replicas = tuple(
        ReplicaStatus(ReplicaId("local", index), state, "", 0.0, None) for index, state in enumerate(states)
    )
    system = SystemStatus("1", 0.0, gateways=(GatewayStatus("gateway", gateway, 0.0),))
    return Overview(system, (ServerStatus("local", True, None, LOCAL, replicas),))


CONNECTED, EXPECTED = ReplicaState.CONNECTED, ReplicaState.EXPECTED


@pytest.mark.parametrize(
    ("now", "wishes", "expected"),
    [
        pytest.param(overview(CONNECTED, CONNECTED), [LOCAL], None, id="all is there"),
        pytest.param(overview(CONNECTED, CONNECTED, gateway=False), [LOCAL], "the gateway", id="no gateway"),
        pytest.param(overview(CONNECTED, EXPECTED), [LOCAL], "1 of 2 replicas", id="a replica is expected"),
        pytest.param(overview(), [LOCAL], "0 of 2 replicas", id="no replica yet"),
        pytest.param(overview(), [], None, id="no server is wanted"),
        pytest.param(overview(), [TRITON], None, id="a server that nobody here can run is not awaited"),
    ],
)
def test_what_is_missing(now: Overview, wishes: list[ServerManifest], expected: str | None) -> None:
    said = missing(now, wishes)
    assert (said is None) if expected is None else (expected in (said or ""))
