"""What `-o json` and `-o yaml` print: plain mappings with stable names. Absent means not known."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelyard.cli import words
from modelyard.client.results import Applied, Explained
from modelyard.domain.status import (
    Explanation,
    ModelStatus,
    Note,
    ReplicaModelStatus,
    ReplicaStatus,
    ServerStatus,
    SystemStatus,
    VersionStatus,
)


def _known(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", (), [])}


def short(state: str) -> str:
    """`ModelAvailable` is `Available` to a reader; `ScheduleFailed` and the like stay."""
    return state.removeprefix("Model")


def model(it: ModelStatus) -> dict[str, Any]:
    newest = it.versions[-1] if it.versions else None
    return _known(
        name=it.name,
        state=short(newest.state.value) if newest else "Terminated",
        reason=newest.reason if newest else None,
        deleted=it.deleted or None,
        versions=[version(each) for each in it.versions],
    )


def version(it: VersionStatus) -> dict[str, Any]:
    spec, counts = it.model.spec, it.model.replicas
    return _known(
        version=it.version,
        state=short(it.state.value),
        reason=it.reason,
        server=it.server,
        availableReplicas=it.available_replicas,
        unavailableReplicas=it.unavailable_replicas,
        since=words.moment(it.changed_at),
        replicas=counts.wanted,
        minReplicas=counts.minimum,
        maxReplicas=counts.maximum,
        storageUri=spec.artifact.uri,
        artifactVersion=spec.artifact.version,
        requirements=sorted(spec.requirements),
        memoryBytes=spec.memory_bytes,
        pinnedServer=spec.server,
        placedOn=[
            _known(
                replica=str(load.replica),
                state=load.state.value,
                reason=load.reason,
                since=words.moment(load.changed_at),
                **taken(load),
            )
            for load in it.replicas
        ],
    )


def server(it: ServerStatus) -> dict[str, Any]:
    return _known(
        name=it.name,
        shared=it.shared,
        expectedReplicas=it.notice.expected_replicas if it.notice else None,
        minReplicas=it.notice.minimum if it.notice else None,
        maxReplicas=it.notice.maximum if it.notice else None,
        serverConfig=it.manifest.server_config if it.manifest else None,
        replicas=[replica(each) for each in it.replicas],
    )


def replica(it: ReplicaStatus) -> dict[str, Any]:
    config = it.config
    return _known(
        replica=str(it.replica),
        state=it.state.value.capitalize(),
        reason=it.reason,
        since=words.moment(it.since),
        host=config.host if config else None,
        httpPort=config.http_port if config else None,
        grpcPort=config.grpc_port if config else None,
        memoryBytes=config.memory_bytes if config else None,
        overcommitPercentage=config.overcommit_percent if config else None,
        assignedBytes=it.assigned_bytes,
        capabilities=sorted(config.capabilities) if config else None,
        models=[held(each) for each in it.models],
    )


def held(it: ReplicaModelStatus) -> dict[str, Any]:
    return _known(
        name=it.version.model,
        version=it.version.version,
        state=it.state.value,
        reason=it.reason,
        accountedBytes=it.accounted_bytes,
        **taken(it),
    )


def taken(it: ReplicaModelStatus) -> dict[str, Any]:
    return _known(
        measuredBytes=it.measured_bytes,
        resident=it.resident,
        note=it.note,
        fetchedBytes=it.fetched_bytes,
        fetchTotalBytes=it.fetch_total_bytes,
    )


def explanation(it: Explanation) -> dict[str, Any]:
    return {
        "summary": it.summary,
        "placed": it.placed,
        **_known(server=it.server),
        "verdicts": [
            {"replica": str(each.replica), "chosen": each.chosen, "reason": each.reason} for each in it.verdicts
        ],
    }


def applied(it: Applied) -> dict[str, Any]:
    return _known(
        subject=it.subject,
        outcome=it.outcome.value,
        version=it.version or None,
        explanation=explanation(it.explanation) if it.explanation else None,
        notes=list(it.notes),
    )


def explained(it: Explained) -> dict[str, Any]:
    return {"name": it.name, "version": it.version, **explanation(it.explanation)}


def events(notes: Iterable[Note]) -> list[dict[str, Any]]:
    return [
        _known(time=words.moment(it.time), subject=it.subject, text=it.text, cause=it.cause, sequence=it.sequence)
        for it in notes
    ]


def system(it: SystemStatus, addresses: Mapping[str, str], parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "version": it.version,
        **_known(
            started=words.moment(it.started),
            waitingFor=it.waiting_for,
            addresses=dict(addresses),
            parts=parts,
        ),
        "gateways": [
            _known(
                id=each.id, connected=each.connected, since=words.moment(each.since), proxyVersion=each.config_version
            )
            for each in it.gateways
        ],
        "refusals": [
            {"gateway": each.gateway, "resource": each.resource, "reason": each.reason} for each in it.refusals
        ],
        "warnings": list(it.warnings),
        "providers": it.providers,
    }
