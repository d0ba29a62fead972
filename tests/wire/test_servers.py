"""Servers in the contract's words."""

import pytest

from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig, ServerNotice
from modelyard.domain.status import ReplicaModelState, ReplicaModelStatus, ReplicaState, ReplicaStatus, ServerStatus
from modelyard.wire import servers
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb

CONFIG = ReplicaConfig("h", 1, 2, memory_bytes=1000, overcommit_percent=50)


def replica(index: int, state: ReplicaState, *states: ReplicaModelState) -> ReplicaStatus:
    id = ReplicaId("local", index)
    held = tuple(ReplicaModelStatus(VersionId(f"m{n}", 1), id, it, "", 0.0) for n, it in enumerate(states))
    config = None if state is ReplicaState.EXPECTED else CONFIG
    return ReplicaStatus(id, state, "", 0.0, config, assigned_bytes=300, models=held)


@pytest.mark.parametrize(
    ("message", "notice"),
    [
        pytest.param({"expectedReplicas": 2}, ServerNotice("local", 2, shared=False), id="counts of 0 are unset"),
        pytest.param(
            {"expectedReplicas": 2, "minReplicas": 1, "maxReplicas": 2**32 - 1, "shared": True},
            ServerNotice("local", 2, 1, None, True),
            id="the largest maximum is unset",
        ),
        pytest.param(
            {"expectedReplicas": 0, "maxReplicas": 3}, ServerNotice("local", 0, None, 3, False), id="none expected"
        ),
        pytest.param(
            {"expectedReplicas": 1, "kubernetesMeta": {"namespace": "ns", "generation": 7}},
            ServerNotice("local", 1, None, None, False, "ns", 7),
            id="where it is in Kubernetes",
        ),
    ],
)
def test_a_notice_says(message: dict[str, object], notice: ServerNotice) -> None:
    request = pb.ServerNotifyRequest(servers=[pb.ServerNotify(name="local", **message)])  # type: ignore[arg-type]
    assert servers.decode_notices(request) == (notice,)


def test_the_status_counts_replicas_and_what_is_loaded_on_them() -> None:
    status = ServerStatus(
        "local",
        True,
        ServerNotice("local", 3, kubernetes_namespace="ns", kubernetes_generation=4),
        None,
        (
            replica(0, ReplicaState.CONNECTED, ReplicaModelState.AVAILABLE, ReplicaModelState.LOADING),
            replica(1, ReplicaState.SUSPECT, ReplicaModelState.LOADED_UNAVAILABLE),
            replica(2, ReplicaState.EXPECTED),
        ),
    )
    message = servers.encode_server_status_response(status)
    assert message.type == pb.ServerStatusResponse.StatusUpdate
    assert (message.serverName, message.expectedReplicas, message.availableReplicas) == ("local", 3, 1)
    assert message.numLoadedModelReplicas == 2
    assert (message.kubernetesMeta.namespace, message.kubernetesMeta.generation) == ("ns", 4)
    assert [
        (r.replicaIdx, r.totalMemoryBytes, r.availableMemoryBytes, r.numLoadedModels) for r in message.resources
    ] == [
        (0, 1000, 1200, 1),
        (1, 1000, 1200, 1),
    ]


def test_without_a_notice_as_many_replicas_are_expected_as_there_are() -> None:
    message = servers.encode_server_status_response(
        ServerStatus("local", True, None, None, (replica(0, ReplicaState.CONNECTED),))
    )
    assert (message.expectedReplicas, message.availableReplicas) == (1, 1)


def test_memory_that_is_assigned_beyond_what_there_is_reads_as_none_free() -> None:
    full = ReplicaStatus(ReplicaId("local", 0), ReplicaState.CONNECTED, "", 0.0, CONFIG, assigned_bytes=9999)
    message = servers.encode_server_status_response(ServerStatus("local", True, None, None, (full,)))
    assert message.resources[0].availableMemoryBytes == 0
