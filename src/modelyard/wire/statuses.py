"""States and history to and from the domain: `ModelStatusResponse` of the scheduler's API, and the views of ours."""

from collections.abc import Iterable
from typing import TypeAlias

from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig, ServerNotice
from modelyard.domain.status import (
    GatewayStatus,
    ModelState,
    ModelStatus,
    Note,
    RefusedResource,
    ReplicaModelState,
    ReplicaModelStatus,
    ReplicaState,
    ReplicaStatus,
    ServerStatus,
    SystemStatus,
    VersionStatus,
)
from modelyard.wire._pb2.modelyard.v1 import control_pb2 as ours
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb
from modelyard.wire.control import decode_server_manifest, encode_server_manifest
from modelyard.wire.models import decode_model, encode_model, redact_model
from modelyard.wire.times import decode_time, encode_time

ModelReference: TypeAlias = pb.ModelReference
ModelStatusRequest: TypeAlias = pb.ModelStatusRequest
ModelStatusResponse: TypeAlias = pb.ModelStatusResponse
ModelSubscriptionRequest: TypeAlias = pb.ModelSubscriptionRequest
ServerSubscriptionRequest: TypeAlias = pb.ServerSubscriptionRequest
UnloadModelRequest: TypeAlias = pb.UnloadModelRequest
UnloadModelResponse: TypeAlias = pb.UnloadModelResponse

# The values of both enumerations are the protocol's own names.
_MODEL_STATES = {pb.ModelStatus.ModelState.Value(state.value): state for state in ModelState}
_MODEL_STATE_NUMBERS = {state: number for number, state in _MODEL_STATES.items()}
_LOAD_STATES = {pb.ModelReplicaStatus.ModelReplicaState.Value(state.value): state for state in ReplicaModelState}
_LOAD_STATE_NUMBERS = {state: number for number, state in _LOAD_STATES.items()}
_REPLICA_STATES = {ours.ReplicaView.State.Value(state.name): state for state in ReplicaState}
_REPLICA_STATE_NUMBERS = {state: number for number, state in _REPLICA_STATES.items()}


def decode_model_status(message: ModelStatusResponse) -> ModelStatus:
    """Versions oldest first. Replicas know only what the message tells: their sizes are in the server's view."""
    versions = tuple(_decode_version(message.modelName, it) for it in message.versions)
    return ModelStatus(message.modelName, tuple(sorted(versions, key=lambda it: it.version)), message.deleted)


def _decode_version(name: str, message: pb.ModelVersionStatus) -> VersionStatus:
    state = message.state
    return VersionStatus(
        version=message.version,
        server=message.serverName,
        state=_MODEL_STATES.get(state.state, ModelState.UNKNOWN),
        reason=state.reason,
        available_replicas=state.availableReplicas,
        unavailable_replicas=state.unavailableReplicas,
        changed_at=decode_time(state.lastChangeTimestamp),
        model=decode_model(message.modelDefn),
        replicas=tuple(
            ReplicaModelStatus(
                version=VersionId(name, message.version),
                replica=ReplicaId(message.serverName, index),
                state=_LOAD_STATES.get(replica.state, ReplicaModelState.UNKNOWN),
                reason=replica.reason,
                changed_at=decode_time(replica.lastChangeTimestamp),
            )
            for index, replica in sorted(message.modelReplicaState.items())
        ),
    )


def encode_model_status(it: ModelStatus) -> ModelStatusResponse:
    message = pb.ModelStatusResponse(modelName=it.name, deleted=it.deleted)
    for version in it.versions:
        added = message.versions.add(
            version=version.version, serverName=version.server, modelDefn=redact_model(encode_model(version.model))
        )
        if version.model.kubernetes_namespace or version.model.kubernetes_generation:
            added.kubernetesMeta.CopyFrom(added.modelDefn.meta.kubernetesMeta)
        added.state.state = _MODEL_STATE_NUMBERS[version.state]  # type: ignore[assignment]  # enums are plain numbers
        added.state.reason = version.reason
        added.state.availableReplicas = version.available_replicas
        added.state.unavailableReplicas = version.unavailable_replicas
        encode_time(version.changed_at, added.state.lastChangeTimestamp)
        for replica in version.replicas:
            # The map has one place for an index; during a move the replicas of the version's server are told.
            if replica.replica.server == version.server:
                status = added.modelReplicaState[replica.replica.index]
                status.state = _LOAD_STATE_NUMBERS[replica.state]  # type: ignore[assignment]  # enums are plain numbers
                status.reason = replica.reason
                encode_time(replica.changed_at, status.lastChangeTimestamp)
    return message


def decode_server_status(message: ours.ServerView) -> ServerStatus:
    notice = ServerNotice(
        name=message.name,
        expected_replicas=message.expected_replicas,
        minimum=message.min_replicas if message.HasField("min_replicas") else None,
        maximum=message.max_replicas if message.HasField("max_replicas") else None,
        shared=message.shared,
    )
    return ServerStatus(
        name=message.name,
        shared=message.shared,
        notice=notice if message.expected_replicas >= 0 else None,
        manifest=decode_server_manifest(message.manifest) if message.HasField("manifest") else None,
        replicas=tuple(_decode_replica(message.name, it) for it in message.replicas),
    )


def encode_server_status(it: ServerStatus) -> ours.ServerView:
    """No notice is told as -1 expected replicas."""
    message = ours.ServerView(
        name=it.name,
        expected_replicas=it.notice.expected_replicas if it.notice else -1,
        min_replicas=it.notice.minimum if it.notice else None,
        max_replicas=it.notice.maximum if it.notice else None,
        shared=it.shared,
        manifest=encode_server_manifest(it.manifest) if it.manifest else None,
    )
    for replica in it.replicas:
        _encode_replica(replica, message.replicas.add())
    return message


def _decode_replica(server: str, message: ours.ReplicaView) -> ReplicaStatus:
    replica = ReplicaId(server, message.replica_idx)
    config = ReplicaConfig(
        host=message.host,
        http_port=message.http_port,
        grpc_port=message.grpc_port,
        memory_bytes=message.memory_bytes,
        capabilities=frozenset(message.capabilities),
        overcommit_percent=message.overcommit_percentage,
    )
    return ReplicaStatus(
        replica=replica,
        state=_REPLICA_STATES.get(message.state, ReplicaState.EXPECTED),
        reason=message.reason,
        since=decode_time(message.since),
        config=config if message.host else None,
        assigned_bytes=message.assigned_bytes,
        models=tuple(_decode_held(replica, it) for it in message.models),
    )


def _encode_replica(it: ReplicaStatus, message: ours.ReplicaView) -> None:
    message.replica_idx = it.replica.index
    message.state = _REPLICA_STATE_NUMBERS[it.state]  # type: ignore[assignment]  # enums are plain numbers
    message.reason = it.reason
    encode_time(it.since, message.since)
    message.assigned_bytes = it.assigned_bytes
    if it.config:
        message.host = it.config.host
        message.http_port = it.config.http_port
        message.grpc_port = it.config.grpc_port
        message.memory_bytes = it.config.memory_bytes
        message.overcommit_percentage = it.config.overcommit_percent
        message.capabilities.extend(sorted(it.config.capabilities))
    for held in it.models:
        added = message.models.add(
            name=held.version.model,
            version=held.version.version,
            reason=held.reason,
            accounted_bytes=held.accounted_bytes,
            measured_bytes=held.measured_bytes,
            resident=held.resident,
            note=held.note,
            fetched_bytes=held.fetched_bytes,
            fetch_total_bytes=held.fetch_total_bytes,
        )
        added.state = _LOAD_STATE_NUMBERS[held.state]  # type: ignore[assignment]  # enums are plain numbers


def _decode_held(replica: ReplicaId, message: ours.ReplicaModel) -> ReplicaModelStatus:
    """When it changed is in the model's status."""
    return ReplicaModelStatus(
        version=VersionId(message.name, message.version),
        replica=replica,
        state=_LOAD_STATES.get(message.state, ReplicaModelState.UNKNOWN),
        reason=message.reason,
        changed_at=0.0,
        accounted_bytes=message.accounted_bytes,
        measured_bytes=message.measured_bytes if message.HasField("measured_bytes") else None,
        resident=message.resident if message.HasField("resident") else None,
        note=message.note,
        fetched_bytes=message.fetched_bytes if message.HasField("fetched_bytes") else None,
        fetch_total_bytes=message.fetch_total_bytes if message.HasField("fetch_total_bytes") else None,
    )


def decode_notes(message: ours.ListEventsResponse) -> tuple[Note, ...]:
    return tuple(Note(decode_time(it.time), it.subject, it.text, it.cause, it.sequence) for it in message.events)


def encode_notes(notes: Iterable[Note]) -> ours.ListEventsResponse:
    message = ours.ListEventsResponse()
    for it in notes:
        event = message.events.add(sequence=it.sequence, subject=it.subject, text=it.text, cause=it.cause)
        encode_time(it.time, event.time)
    return message


def decode_system(message: ours.GetSystemResponse) -> SystemStatus:
    return SystemStatus(
        version=message.version,
        started=decode_time(message.started),
        waiting_for=message.waiting_for,
        gateways=tuple(
            GatewayStatus(it.id, it.connected, decode_time(it.since), it.config_version) for it in message.gateways
        ),
        refusals=tuple(RefusedResource(it.gateway, it.resource, it.reason) for it in message.refusals),
        warnings=tuple(message.warnings),
        providers=message.providers,
    )


def encode_system(it: SystemStatus) -> ours.GetSystemResponse:
    message = ours.GetSystemResponse(
        version=it.version, waiting_for=it.waiting_for, warnings=it.warnings, providers=it.providers
    )
    encode_time(it.started, message.started)
    for gateway in it.gateways:
        added = message.gateways.add(id=gateway.id, connected=gateway.connected, config_version=gateway.config_version)
        encode_time(gateway.since, added.since)
    for refusal in it.refusals:
        message.refusals.add(gateway=refusal.gateway, resource=refusal.resource, reason=refusal.reason)
    return message
