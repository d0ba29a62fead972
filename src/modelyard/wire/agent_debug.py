"""What one agent holds, for whoever debugs it: `seldon.mlops.agent_debug` from plain values."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from modelyard.wire._pb2.seldon.mlops.agent_debug import agent_debug_pb2 as pb

StatusRequest: TypeAlias = pb.ReplicaStatusRequest
StatusResponse: TypeAlias = pb.ReplicaStatusResponse


def encode_status(
    available_bytes: int, models: Iterable[tuple[str, bool]], last_used: Mapping[str, float] | None = None
) -> StatusResponse:
    """`models`: each name, and whether it is in memory. `last_used`: seconds since the epoch, where they are known."""
    message = pb.ReplicaStatusResponse(availableMemoryBytes=available_bytes)
    for name, resident in models:
        state = pb.ModelReplicaState.InMemory if resident else pb.ModelReplicaState.Evicted
        model = message.models.add(name=name, state=state)
        if last_used and name in last_used:
            model.lastAccessed.FromNanoseconds(round(last_used[name] * 1e9))
    return message


def decode_last_used(message: StatusResponse) -> Mapping[str, float]:
    return {it.name: it.lastAccessed.ToNanoseconds() / 1e9 for it in message.models if it.HasField("lastAccessed")}


def decode_status(message: StatusResponse) -> tuple[int, tuple[tuple[str, bool], ...]]:
    models = ((it.name, it.state == pb.ModelReplicaState.InMemory) for it in message.models)
    return message.availableMemoryBytes, tuple(models)
