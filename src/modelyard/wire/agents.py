"""The agent protocol: `seldon.mlops.agent` and the agents' part of `modelyard.v1` to and from the domain."""

from typing import TypeAlias

from modelyard.domain.agent_protocol import (
    ModelEvent,
    ModelEventKind,
    ModelMeasure,
    ModelVersion,
    Operation,
    OperationKind,
    Subscription,
)
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import Offers, ReplicaConfig
from modelyard.wire._pb2.modelyard.v1 import agent_pb2 as ours
from modelyard.wire._pb2.seldon.mlops.agent import agent_pb2 as pb
from modelyard.wire.models import decode_copies, decode_model, encode_model

SubscribeRequest: TypeAlias = pb.AgentSubscribeRequest
OperationMessage: TypeAlias = pb.ModelOperationMessage
ModelVersionMessage: TypeAlias = pb.ModelVersion
EventMessage: TypeAlias = pb.ModelEventMessage
EventResponse: TypeAlias = pb.ModelEventResponse
ScalingTriggerMessage: TypeAlias = pb.ModelScalingTriggerMessage
ScalingTriggerResponse: TypeAlias = pb.ModelScalingTriggerResponse
DrainRequest: TypeAlias = pb.AgentDrainRequest
DrainResponse: TypeAlias = pb.AgentDrainResponse
ReportMessage: TypeAlias = ours.AgentReport
ReportResponse: TypeAlias = ours.AgentReportResponse

# Metadata that our agents send with every call: the id of their session (protocol.md, "Sessions").
SESSION_HEADER = "modelyard-session"

_EVENT_KINDS: dict[int, ModelEventKind] = {
    pb.ModelEventMessage.LOADED: ModelEventKind.LOADED,
    pb.ModelEventMessage.LOAD_FAILED: ModelEventKind.LOAD_FAILED,
    pb.ModelEventMessage.LOAD_FAIL_MEMORY: ModelEventKind.LOAD_FAIL_MEMORY,
    pb.ModelEventMessage.UNLOADED: ModelEventKind.UNLOADED,
    pb.ModelEventMessage.UNLOAD_FAILED: ModelEventKind.UNLOAD_FAILED,
    pb.ModelEventMessage.REMOVED: ModelEventKind.REMOVED,
    pb.ModelEventMessage.REMOVE_FAILED: ModelEventKind.REMOVE_FAILED,
    pb.ModelEventMessage.RSYNC: ModelEventKind.RSYNC,
}
_EVENT_NUMBERS = {kind: number for number, kind in _EVENT_KINDS.items()}
_OPERATION_KINDS: dict[int, OperationKind] = {
    pb.ModelOperationMessage.LOAD_MODEL: OperationKind.LOAD,
    pb.ModelOperationMessage.UNLOAD_MODEL: OperationKind.UNLOAD,
}
_OPERATION_NUMBERS = {kind: number for number, kind in _OPERATION_KINDS.items()}


def decode_model_version(message: pb.ModelVersion) -> ModelVersion:
    return ModelVersion(decode_model(message.model), message.version)


def encode_model_version(it: ModelVersion) -> pb.ModelVersion:
    return pb.ModelVersion(model=encode_model(it.model), version=it.version)


def decode_subscription(message: SubscribeRequest) -> Subscription:
    config = message.replicaConfig
    return Subscription(
        replica=ReplicaId(message.serverName, message.replicaIdx),
        config=ReplicaConfig(
            host=config.inferenceSvc,
            http_port=config.inferenceHttpPort,
            grpc_port=config.inferenceGrpcPort,
            memory_bytes=config.memoryBytes,
            capabilities=frozenset(config.capabilities),
            overcommit_percent=config.overCommitPercentage,
        ),
        shared=message.shared,
        loaded=tuple(decode_model_version(it) for it in message.loadedModels),
        available_bytes=message.availableMemoryBytes,
    )


def encode_subscription(it: Subscription) -> SubscribeRequest:
    return pb.AgentSubscribeRequest(
        serverName=it.replica.server,
        replicaIdx=it.replica.index,
        shared=it.shared,
        replicaConfig=pb.ReplicaConfig(
            inferenceSvc=it.config.host,
            inferenceHttpPort=it.config.http_port,
            inferenceGrpcPort=it.config.grpc_port,
            memoryBytes=it.config.memory_bytes,
            capabilities=sorted(it.config.capabilities),
            overCommitPercentage=it.config.overcommit_percent,
        ),
        loadedModels=[encode_model_version(loaded) for loaded in it.loaded],
        availableMemoryBytes=it.available_bytes,
    )


def decode_operation(message: OperationMessage) -> Operation | None:
    """None: an operation newer than ours, to be ignored."""
    kind = _OPERATION_KINDS.get(message.operation)
    if kind is None:
        return None
    return Operation(kind, decode_model_version(message.modelVersion), message.autoscalingEnabled)


def encode_operation(it: Operation) -> OperationMessage:
    message = pb.ModelOperationMessage(
        modelVersion=encode_model_version(it.model_version), autoscalingEnabled=it.autoscaling
    )
    message.operation = _OPERATION_NUMBERS[it.kind]  # type: ignore[assignment]  # enums are plain numbers
    return message


def decode_event(message: EventMessage) -> ModelEvent | None:
    """None: an event newer than ours, to be ignored."""
    kind = _EVENT_KINDS.get(message.event)
    if kind is None:
        return None
    return ModelEvent(
        replica=ReplicaId(message.serverName, message.replicaIdx),
        kind=kind,
        version=VersionId(message.modelName, message.modelVersion) if message.modelName else None,
        message=message.message,
        available_bytes=message.availableMemoryBytes,
        copies=decode_copies(message.runtimeInfo),
    )


def encode_event(it: ModelEvent) -> EventMessage:
    message = pb.ModelEventMessage(
        serverName=it.replica.server,
        replicaIdx=it.replica.index,
        modelName=it.version.model if it.version else "",
        modelVersion=it.version.version if it.version else 0,
        message=it.message,
        availableMemoryBytes=it.available_bytes,
    )
    message.event = _EVENT_NUMBERS[it.kind]  # type: ignore[assignment]  # enums are plain numbers
    if it.copies is not None:
        message.runtimeInfo.mlserver.parallelWorkers = it.copies
    return message


def decode_offers(message: ReportMessage) -> Offers | None:
    """None: not told this time."""
    it = message.offers
    return Offers(it.grpc_over_http1, it.unix_socket, it.machine) if message.HasField("offers") else None


def decode_measures(message: ReportMessage) -> tuple[ReplicaId, tuple[ModelMeasure, ...]]:
    return ReplicaId(message.server_name, message.replica_idx), tuple(
        ModelMeasure(
            version=VersionId(it.name, it.version),
            measured_bytes=it.measured_bytes if it.HasField("measured_bytes") else None,
            resident=it.resident,
            last_used=it.last_used.ToNanoseconds() / 1e9 if it.HasField("last_used") else None,
            load_ms=it.load_ms if it.HasField("load_ms") else None,
            note=it.note,
            fetched_bytes=it.fetched_bytes if it.HasField("fetched_bytes") else None,
            fetch_total_bytes=it.fetch_total_bytes if it.HasField("fetch_total_bytes") else None,
        )
        for it in message.models
    )


def encode_report(
    replica: ReplicaId, measures: tuple[ModelMeasure, ...], offers: Offers | None = None
) -> ReportMessage:
    message = ours.AgentReport(server_name=replica.server, replica_idx=replica.index)
    if offers is not None:
        message.offers.SetInParent()
        message.offers.grpc_over_http1 = offers.grpc_over_http1
        message.offers.unix_socket, message.offers.machine = offers.unix_socket, offers.machine
    for it in measures:
        report = message.models.add(
            name=it.version.model,
            version=it.version.version,
            resident=it.resident,
            measured_bytes=it.measured_bytes,
            load_ms=it.load_ms,
            note=it.note,
            fetched_bytes=it.fetched_bytes,
            fetch_total_bytes=it.fetch_total_bytes,
        )
        if it.last_used is not None:
            report.last_used.FromNanoseconds(int(it.last_used * 1e9))
    return message


def decode_drain(message: DrainRequest) -> ReplicaId:
    return ReplicaId(message.serverName, message.replicaIdx)
