"""`modelyard.v1.Control`: our own additions to the scheduler's API, to and from the domain, in both directions.

Applying, explaining and servers are here; states and history are in `statuses`.
"""

from typing import TypeAlias

from modelyard.domain.model import DEFAULT_REPLICAS, Model, Replicas
from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest
from modelyard.domain.status import ApplyOutcome, Explanation, Verdict
from modelyard.wire._pb2.modelyard.v1 import control_pb2 as pb
from modelyard.wire.models import decode_model, encode_model

ApplyModelRequest: TypeAlias = pb.ApplyModelRequest
ApplyModelResponse: TypeAlias = pb.ApplyModelResponse
ApplyServerRequest: TypeAlias = pb.ApplyServerRequest
ApplyServerResponse: TypeAlias = pb.ApplyServerResponse
DeleteServerRequest: TypeAlias = pb.DeleteServerRequest
DeleteServerResponse: TypeAlias = pb.DeleteServerResponse
ExplainModelRequest: TypeAlias = pb.ExplainModelRequest
ExplainModelResponse: TypeAlias = pb.ExplainModelResponse
GetSystemRequest: TypeAlias = pb.GetSystemRequest
GetSystemResponse: TypeAlias = pb.GetSystemResponse
ListEventsRequest: TypeAlias = pb.ListEventsRequest
ListEventsResponse: TypeAlias = pb.ListEventsResponse
ListServersRequest: TypeAlias = pb.ListServersRequest
ListServersResponse: TypeAlias = pb.ListServersResponse
ReportServerRequest: TypeAlias = pb.ReportServerRequest
ReportServerResponse: TypeAlias = pb.ReportServerResponse
WatchServersRequest: TypeAlias = pb.WatchServersRequest
WatchServersResponse: TypeAlias = pb.WatchServersResponse

_OUTCOMES: dict[int, ApplyOutcome] = {
    pb.CREATED: ApplyOutcome.CREATED,
    pb.UNCHANGED: ApplyOutcome.UNCHANGED,
    pb.RESCHEDULED: ApplyOutcome.RESCHEDULED,
    pb.NEW_VERSION: ApplyOutcome.NEW_VERSION,
}
_OUTCOME_NUMBERS = {outcome: number for number, outcome in _OUTCOMES.items()}


def decode_replicas(message: pb.Replicas) -> Replicas:
    """Presence counts here: `minReplicas: 0`, written out, is not the same as none."""
    minimum = message.min_replicas if message.HasField("min_replicas") else None
    return Replicas(
        wanted=message.replicas if message.HasField("replicas") else minimum or DEFAULT_REPLICAS,
        minimum=minimum,
        maximum=message.max_replicas if message.HasField("max_replicas") else None,
    )


def encode_replicas(it: Replicas) -> pb.Replicas:
    return pb.Replicas(replicas=it.wanted, min_replicas=it.minimum, max_replicas=it.maximum)


def decode_apply_model(message: ApplyModelRequest) -> Model:
    return decode_model(message.model, decode_replicas(message.replicas))


def encode_apply_model(model: Model, *, dry_run: bool = False) -> ApplyModelRequest:
    return pb.ApplyModelRequest(model=encode_model(model), replicas=encode_replicas(model.replicas), dry_run=dry_run)


def decode_applied_model(message: ApplyModelResponse) -> tuple[ApplyOutcome, int, Explanation]:
    """What applying changed, the version, and where it goes; an outcome newer than ours counts as no change."""
    outcome = _OUTCOMES.get(message.outcome, ApplyOutcome.UNCHANGED)
    return outcome, message.version, decode_explanation(message.explanation)


def encode_applied_model(outcome: ApplyOutcome, version: int, explanation: Explanation) -> ApplyModelResponse:
    message = pb.ApplyModelResponse(version=version, explanation=encode_explanation(explanation))
    message.outcome = _OUTCOME_NUMBERS[outcome]  # type: ignore[assignment]  # enums are plain numbers
    return message


def decode_applied_server(message: ApplyServerResponse) -> tuple[ApplyOutcome, str]:
    return _OUTCOMES.get(message.outcome, ApplyOutcome.UNCHANGED), message.note


def encode_applied_server(outcome: ApplyOutcome, note: str = "") -> ApplyServerResponse:
    message = pb.ApplyServerResponse(note=note)
    message.outcome = _OUTCOME_NUMBERS[outcome]  # type: ignore[assignment]  # enums are plain numbers
    return message


def decode_explanation(message: pb.Explanation) -> Explanation:
    return Explanation(
        summary=message.summary,
        placed=message.placed,
        server=message.server,
        verdicts=tuple(Verdict(ReplicaId(it.server, it.replica_idx), it.chosen, it.reason) for it in message.verdicts),
    )


def encode_explanation(it: Explanation) -> pb.Explanation:
    message = pb.Explanation(summary=it.summary, placed=it.placed, server=it.server)
    for verdict in it.verdicts:
        message.verdicts.add(
            server=verdict.replica.server,
            replica_idx=verdict.replica.index,
            chosen=verdict.chosen,
            reason=verdict.reason,
        )
    return message


def decode_server_manifest(message: pb.Server) -> ServerManifest:
    return ServerManifest(
        name=message.name,
        replicas=decode_replicas(message.replicas),
        server_config=message.server_config or "modelyard",
        capabilities=tuple(message.capabilities),
        extra_capabilities=tuple(message.extra_capabilities),
        memory_bytes=message.memory_bytes if message.HasField("memory_bytes") else None,
        overcommit_percent=message.overcommit_percentage if message.HasField("overcommit_percentage") else None,
        rest_json=message.manifest_json,
    )


def encode_server_manifest(it: ServerManifest) -> pb.Server:
    return pb.Server(
        name=it.name,
        replicas=encode_replicas(it.replicas),
        server_config=it.server_config,
        capabilities=it.capabilities,
        extra_capabilities=it.extra_capabilities,
        memory_bytes=it.memory_bytes,
        overcommit_percentage=it.overcommit_percent,
        manifest_json=it.rest_json,
    )


def encode_explained_model(version: int, explanation: Explanation) -> ExplainModelResponse:
    return pb.ExplainModelResponse(version=version, explanation=encode_explanation(explanation))
