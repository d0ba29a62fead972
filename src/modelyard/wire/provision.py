"""What a provider of servers says to the scheduler: `ServerNotify`, `AgentDrain`, and what it is asked for."""

from collections.abc import Iterable
from typing import TypeAlias

from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest, ServerNotice
from modelyard.wire._pb2.modelyard.v1 import control_pb2 as ours
from modelyard.wire._pb2.seldon.mlops.agent import agent_pb2
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb
from modelyard.wire.control import decode_server_manifest, encode_server_manifest

NotifyRequest: TypeAlias = pb.ServerNotifyRequest
ControlPlaneRequest: TypeAlias = pb.ControlPlaneSubscriptionRequest
ControlPlaneResponse: TypeAlias = pb.ControlPlaneResponse
DrainRequest: TypeAlias = agent_pb2.AgentDrainRequest
WatchRequest: TypeAlias = ours.WatchServersRequest
WatchResponse: TypeAlias = ours.WatchServersResponse
ReportRequest: TypeAlias = ours.ReportServerRequest


def encode_notices(notices: Iterable[ServerNotice], *, first_sync: bool) -> NotifyRequest:
    """The counts of the contract cannot tell unset from 0: both are written as 0."""
    message = pb.ServerNotifyRequest(isFirstSync=first_sync)
    for it in notices:
        notice = message.servers.add(
            name=it.name,
            expectedReplicas=it.expected_replicas,
            minReplicas=it.minimum or 0,
            maxReplicas=it.maximum or 0,
            shared=it.shared,
        )
        if it.kubernetes_namespace or it.kubernetes_generation:
            notice.kubernetesMeta.namespace = it.kubernetes_namespace
            notice.kubernetesMeta.generation = it.kubernetes_generation
    return message


def asks_for_servers(message: ControlPlaneResponse) -> bool:
    return message.event == pb.ControlPlaneResponse.SEND_SERVERS


def encode_drain(replica: ReplicaId) -> DrainRequest:
    return agent_pb2.AgentDrainRequest(serverName=replica.server, replicaIdx=replica.index)


def decode_wanted(message: WatchResponse) -> tuple[ServerManifest, ...]:
    return tuple(decode_server_manifest(it) for it in message.servers)


def encode_wanted(manifests: Iterable[ServerManifest]) -> WatchResponse:
    return ours.WatchServersResponse(servers=[encode_server_manifest(it) for it in manifests])
