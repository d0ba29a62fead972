"""What one agent holds, for whoever debugs it: `seldon.mlops.agent_debug` from plain values."""

from collections.abc import Iterable
from typing import TypeAlias

from modelyard.wire._pb2.seldon.mlops.agent_debug import agent_debug_pb2 as pb

StatusRequest: TypeAlias = pb.ReplicaStatusRequest
StatusResponse: TypeAlias = pb.ReplicaStatusResponse


def encode_status(available_bytes: int, models: Iterable[tuple[str, bool]]) -> StatusResponse:
    """`models`: each name, and whether it is in memory."""
    message = pb.ReplicaStatusResponse(availableMemoryBytes=available_bytes)
    for name, resident in models:
        state = pb.ModelReplicaState.InMemory if resident else pb.ModelReplicaState.Evicted
        message.models.add(name=name, state=state)
    return message


def decode_status(message: StatusResponse) -> tuple[int, tuple[tuple[str, bool], ...]]:
    models = ((it.name, it.state == pb.ModelReplicaState.InMemory) for it in message.models)
    return message.availableMemoryBytes, tuple(models)
