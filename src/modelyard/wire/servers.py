"""Servers in the contract's words: `ServerNotify` in, `ServerStatusResponse` out; and what peers are asked for."""

from typing import TypeAlias

from modelyard.domain.server import ServerNotice
from modelyard.domain.status import ReplicaModelState, ReplicaState, ServerStatus
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb
from modelyard.wire.models import UNLIMITED

LoadModelRequest: TypeAlias = pb.LoadModelRequest
LoadModelResponse: TypeAlias = pb.LoadModelResponse
ServerNotifyRequest: TypeAlias = pb.ServerNotifyRequest
ServerNotifyResponse: TypeAlias = pb.ServerNotifyResponse
ServerStatusRequest: TypeAlias = pb.ServerStatusRequest
ServerStatusResponse: TypeAlias = pb.ServerStatusResponse
SchedulerStatusRequest: TypeAlias = pb.SchedulerStatusRequest
SchedulerStatusResponse: TypeAlias = pb.SchedulerStatusResponse
ControlPlaneResponse: TypeAlias = pb.ControlPlaneResponse

# What a peer that keeps manifests is asked to send: servers first, the rest once the scheduler decides freely.
ASK_FOR_SERVERS = (pb.ControlPlaneResponse.SEND_SERVERS,)
ASK_FOR_THE_REST = (
    pb.ControlPlaneResponse.SEND_EXPERIMENTS,
    pb.ControlPlaneResponse.SEND_MODELS,
    pb.ControlPlaneResponse.SEND_PIPELINES,
)

_LOADED = frozenset({ReplicaModelState.AVAILABLE, ReplicaModelState.LOADED, ReplicaModelState.LOADED_UNAVAILABLE})


def decode_notices(message: ServerNotifyRequest) -> tuple[ServerNotice, ...]:
    """Counts of 0, and the largest one, are unset."""
    return tuple(
        ServerNotice(
            name=it.name,
            expected_replicas=it.expectedReplicas,
            minimum=it.minReplicas or None,
            maximum=None if it.maxReplicas in (0, UNLIMITED) else it.maxReplicas,
            shared=it.shared,
            kubernetes_namespace=it.kubernetesMeta.namespace,
            kubernetes_generation=it.kubernetesMeta.generation,
        )
        for it in message.servers
    )


def encode_server_status_response(it: ServerStatus) -> ServerStatusResponse:
    """An answer or an update of type StatusUpdate."""
    there = [r for r in it.replicas if r.state is not ReplicaState.EXPECTED and r.config is not None]
    message = pb.ServerStatusResponse(
        type=pb.ServerStatusResponse.StatusUpdate,
        serverName=it.name,
        expectedReplicas=it.notice.expected_replicas if it.notice else len(there),
        availableReplicas=sum(r.state is not ReplicaState.SUSPECT for r in there),
    )
    if it.notice and (it.notice.kubernetes_namespace or it.notice.kubernetes_generation):
        message.kubernetesMeta.namespace = it.notice.kubernetes_namespace
        message.kubernetesMeta.generation = it.notice.kubernetes_generation
    for replica in there:
        assert replica.config is not None
        loaded = sum(model.state in _LOADED for model in replica.models)
        message.numLoadedModelReplicas += loaded
        message.resources.add(
            replicaIdx=replica.replica.index,
            totalMemoryBytes=replica.config.memory_bytes,
            availableMemoryBytes=max(0, replica.config.assignable_bytes - replica.assigned_bytes),
            numLoadedModels=loaded,
            overCommitPercentage=replica.config.overcommit_percent,
        )
    return message
