"""What its users want: models and servers applied and deleted. Part of `observe`."""

from dataclasses import replace

from modelyard.domain.model import Model
from modelyard.domain.names import ReplicaId, name_problem
from modelyard.domain.server import ServerNotice
from modelyard.domain.server_configs import server_config_problem
from modelyard.domain.status import ApplyOutcome
from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.scheduler.messages import (
    Done,
    DropServer,
    ModelApplied,
    ModelDeleted,
    PutModel,
    PutServer,
    PutVersion,
    ServerApplied,
    ServerDeleted,
    ServersNoticed,
)
from modelyard.scheduler.state import Gate, Link, ModelRecord, Phase, Server, State, Version
from modelyard.scheduler.turn import Turn

MOST_REPLICAS = 10_000  # of one server: each that is expected is listed


def model_problem(model: Model) -> str | None:
    """Why this model can never be served; None where it may."""
    problem = name_problem(model.name)
    if problem:
        return f"model name: {problem}"
    if not model.spec.artifact.uri:
        return f"model {model.name} has no storageUri: say where its files are"
    counts = model.replicas.problem()
    return f"model {model.name}: {counts}" if counts else None


def apply_model(state: State, event: ModelApplied, turn: Turn) -> None:
    model = event.model
    problem = model_problem(model)
    if problem:
        turn.reply(event.ticket, InvalidInput(problem))
        return
    record = state.models.get(model.name)
    if record is None:
        last = state.tombstones.pop(model.name, 0)
        record = state.models[model.name] = ModelRecord(model.name, latest=last)
        outcome = ApplyOutcome.CREATED
        _add_version(record, model, turn)
    elif record.deleting:
        outcome = ApplyOutcome.CREATED
        record.deleting = False
        _add_version(record, model, turn)
    elif record.wanted.model.spec != model.spec:
        outcome = ApplyOutcome.NEW_VERSION
        _add_version(record, model, turn)
    else:
        outcome = _update_version(state, record.wanted, model, turn)
    turn.applied.append((event.ticket, model.name, outcome))
    turn.touch(model.name)


def foreseen(state: State, model: Model) -> tuple[ApplyOutcome, int]:
    """What applying the model would come to, and the number of its version then."""
    record = state.models.get(model.name)
    if record is None:
        return ApplyOutcome.CREATED, state.tombstones.get(model.name, 0) + 1
    if record.deleting:
        return ApplyOutcome.CREATED, record.latest + 1
    if record.wanted.model.spec != model.spec:
        return ApplyOutcome.NEW_VERSION, record.latest + 1
    changed = _counts_changed(record.wanted, model)
    return ApplyOutcome.RESCHEDULED if changed else ApplyOutcome.UNCHANGED, record.latest


def _counts_changed(version: Version, model: Model) -> bool:
    return version.model.replicas != model.replicas or version.model.carried != model.carried


def _add_version(record: ModelRecord, model: Model, turn: Turn) -> None:
    record.latest += 1
    version = record.versions[record.latest] = Version(model, record.latest, state_since=turn.now)
    turn.writes += [
        PutModel(record.name, record.latest, deleting=False),
        PutVersion(version.model_version(), took_over=False),
    ]
    turn.note_model(record.name, f"version {record.latest} is wanted: {model.spec.artifact.shown}")


def _update_version(state: State, version: Version, model: Model, turn: Turn) -> ApplyOutcome:
    """The same spec again: other counts are re-scheduled, and what had failed is tried again."""
    for failed in version.in_phase(Phase.FAILED):
        state.unassign(failed)
    counts_changed = _counts_changed(version, model)
    if version.model != model:
        version.model = model
        turn.writes.append(PutVersion(version.model_version(), version.took_over))
    if not counts_changed:
        return ApplyOutcome.UNCHANGED
    counts = model.replicas
    turn.note_model(model.name, f"replicas wanted: {counts.wanted}, at least {counts.enough}")
    return ApplyOutcome.RESCHEDULED


def delete_model(state: State, event: ModelDeleted, turn: Turn) -> None:
    record = state.models.get(event.name)
    if record is None:
        turn.reply(event.ticket, NotFound(f"no model is named {event.name!r}"))
        return
    if not record.deleting:
        record.deleting = True
        for version in record.versions.values():
            if version.took_over:  # should the name be used again, this one has no claim to it
                version.took_over = False
                turn.writes.append(PutVersion(version.model_version(), took_over=False))
        state.unplaced.pop(record.name, None)
        turn.writes.append(PutModel(record.name, record.latest, deleting=True))
        turn.note_model(record.name, "is to be deleted")
    turn.touch(event.name)
    turn.reply(event.ticket, Done())


def notice_servers(state: State, event: ServersNoticed, turn: Turn) -> None:
    for notice in event.notices:
        problem = _notice_problem(notice)
        if problem:
            turn.reply(event.ticket, InvalidInput(problem))
            return
    for notice in event.notices:
        server = state.servers.setdefault(notice.name, Server(notice.name))
        if server.notice != notice:
            _notice(state, server, notice, turn)
    if event.first_sync and state.gate is not None:
        _await_more(state, state.gate, event.notices)
    turn.reply(event.ticket, Done())


def _notice_problem(notice: ServerNotice) -> str | None:
    problem = name_problem(notice.name)
    if problem:
        return f"server name: {problem}"
    if notice.expected_replicas > MOST_REPLICAS:
        return f"server {notice.name}: {notice.expected_replicas} expected replicas are more than {MOST_REPLICAS}"
    return None


def _notice(state: State, server: Server, notice: ServerNotice, turn: Turn) -> None:
    was = server.notice.expected_replicas if server.notice else None
    server.notice = notice
    turn.servers_changed.add(server.name)
    if was != notice.expected_replicas:
        turn.note(f"server/{server.name}", f"replicas expected: {notice.expected_replicas}")
        for name in [*state.unplaced, *sorted(_models_on(server))]:
            turn.touch(name)
    if notice.expected_replicas == 0 and server.manifest is None and not server.replicas:
        del state.servers[server.name]
        turn.writes.append(DropServer(server.name))
    else:
        turn.writes.append(PutServer(server.name, server.notice, server.manifest))


def _models_on(server: Server) -> set[str]:
    return {id.model for replica in server.replicas.values() for id in replica.assignments}


def _await_more(state: State, gate: Gate, notices: tuple[ServerNotice, ...]) -> None:
    """A peer's first sync tells how many agents to wait for beside those we knew."""
    gate.blind = False
    for notice in notices:
        for index in range(notice.expected_replicas):
            replica = state.replica(ReplicaId(notice.name, index))
            if replica is None or replica.link is not Link.CONNECTED:
                gate.waiting.add(ReplicaId(notice.name, index))


def apply_server(state: State, event: ServerApplied, turn: Turn) -> None:
    manifest = event.manifest
    problem = (
        name_problem(manifest.name) or server_config_problem(manifest.server_config) or manifest.replicas.problem()
    )
    if problem:
        turn.reply(event.ticket, InvalidInput(f"server {manifest.name}: {problem}"))
        return
    server = state.servers.get(manifest.name)
    if server is not None and server.manifest == manifest:
        turn.reply(event.ticket, Done(ApplyOutcome.UNCHANGED))
        return
    outcome = ApplyOutcome.RESCHEDULED if server and server.manifest else ApplyOutcome.CREATED
    server = state.servers.setdefault(manifest.name, Server(manifest.name))
    server.manifest = manifest
    turn.writes.append(PutServer(server.name, server.notice, manifest))
    turn.note(f"server/{server.name}", f"replicas of {manifest.server_config} wanted: {manifest.replicas.wanted}")
    turn.servers_changed.add(server.name)
    turn.manifests_changed = True
    turn.reply(event.ticket, Done(outcome))


def delete_server(state: State, event: ServerDeleted, turn: Turn) -> None:
    server = state.servers.get(event.name)
    if server is None or server.manifest is None:
        known = f"server {event.name} runs without a manifest: stop it where it was started" if server else None
        turn.reply(event.ticket, NotFound(known or f"no server is named {event.name!r}"))
        return
    server.manifest = None
    turn.note(f"server/{server.name}", "its manifest was deleted")
    turn.servers_changed.add(server.name)
    turn.manifests_changed = True
    if server.notice is None and not server.replicas:
        del state.servers[server.name]
        turn.writes.append(DropServer(server.name))
    else:
        if server.notice is not None:
            server.notice = replace(server.notice, expected_replicas=0)
            for name in _models_on(server):
                turn.touch(name)
        turn.writes.append(PutServer(server.name, server.notice, None))
    turn.reply(event.ticket, Done())
