"""The state in the words of the protocol, for whoever asks."""

from modelyard.domain.names import ReplicaId
from modelyard.domain.status import (
    ModelStatus,
    ReplicaModelStatus,
    ReplicaState,
    ReplicaStatus,
    ServerStatus,
    VersionStatus,
)
from modelyard.scheduler.state import Assignment, Link, ModelRecord, Phase, Replica, Server, State, Version
from modelyard.scheduler.status import available_count, replica_state


def model_status(state: State, name: str, *, all_versions: bool = False) -> ModelStatus | None:
    """The wanted version, or all that exist; None: no such model."""
    record = state.models.get(name)
    if record is None:
        return None
    numbers = sorted(record.versions) if all_versions else [record.latest]
    versions = (record.versions[number] for number in numbers if number in record.versions)
    return ModelStatus(name, tuple(_version_status(state, record, version) for version in versions))


def _version_status(state: State, record: ModelRecord, version: Version) -> VersionStatus:
    replicas = sorted(version.assignments.values(), key=lambda a: a.replica)
    available = available_count(record, version)
    wanted = version.model.replicas.wanted if version is record.wanted and not record.deleting else len(replicas)
    serving = [a.replica.server for a in replicas if a.phase is Phase.LOADED]
    servers = serving or [a.replica.server for a in replicas]
    return VersionStatus(
        version=version.number,
        server=servers[0] if servers else "",
        state=version.state,
        reason=version.state_reason,
        available_replicas=available,
        unavailable_replicas=max(0, wanted - available),
        changed_at=version.state_since,
        model=version.model,
        replicas=tuple(_replica_model_status(state, record, a) for a in replicas),
    )


def _replica_model_status(state: State, record: ModelRecord, assignment: Assignment) -> ReplicaModelStatus:
    replica = state.replica(assignment.replica)
    assert replica is not None
    return ReplicaModelStatus(
        version=assignment.version,
        replica=assignment.replica,
        state=replica_state(record, assignment, replica),
        reason=assignment.reason,
        changed_at=assignment.since,
        accounted_bytes=assignment.accounted_bytes,
        measured_bytes=assignment.measured_bytes,
        resident=assignment.resident,
        note=assignment.note,
        fetched_bytes=assignment.fetched_bytes,
        fetch_total_bytes=assignment.fetch_total_bytes,
    )


def server_status(state: State, name: str) -> ServerStatus | None:
    """A server with its replicas, those included that are only expected; None: no such server."""
    server = state.servers.get(name)
    if server is None:
        return None
    replicas = [_replica_status(state, replica) for _, replica in sorted(server.replicas.items())]
    known = len(replicas)
    if server.notice is not None and server.notice.expected_replicas > known:
        missing = [i for i in range(server.notice.expected_replicas) if i not in server.replicas]
        replicas += [_expected(server, index) for index in missing]
        replicas.sort(key=lambda it: it.replica)
    shared = all(replica.shared for replica in server.replicas.values())
    return ServerStatus(name, shared, server.notice, server.manifest, tuple(replicas))


def _expected(server: Server, index: int) -> ReplicaStatus:
    return ReplicaStatus(
        ReplicaId(server.name, index), ReplicaState.EXPECTED, "its agent has not connected yet", 0.0, None
    )


def _replica_status(state: State, replica: Replica) -> ReplicaStatus:
    models = sorted(replica.assignments.values(), key=lambda a: a.version)
    link, reason = _link(replica)
    return ReplicaStatus(
        replica=replica.id,
        state=link,
        reason=reason,
        since=replica.since,
        config=replica.config,
        assigned_bytes=replica.assigned_bytes,
        models=tuple(_replica_model_status(state, state.models[a.version.model], a) for a in models),
    )


def _link(replica: Replica) -> tuple[ReplicaState, str]:
    match replica.link:
        case Link.CONNECTED:
            if replica.draining:
                return ReplicaState.DRAINING, "takes nothing new; its models move elsewhere"
            return ReplicaState.CONNECTED, ""
        case Link.SUSPECT:
            return ReplicaState.SUSPECT, "its agent is lost; its routes stay while its server answers"
        case Link.EXPECTED:
            return ReplicaState.EXPECTED, "its agent has not connected yet"
