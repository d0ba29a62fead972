"""What models take on their replicas, which the status of a model does not tell and that of a server does. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from modelyard.domain.status import ModelStatus, ReplicaModelStatus, ServerStatus, VersionStatus
from modelyard.kit.sizes import quantity


def joined(models: Iterable[ModelStatus], servers: Iterable[ServerStatus]) -> list[ModelStatus]:
    """The models, with what the servers' replicas tell of them."""
    held = {(it.version, it.replica): it for server in servers for each in server.replicas for it in each.models}

    def told(load: ReplicaModelStatus) -> ReplicaModelStatus:
        found = held.get((load.version, load.replica))
        return (
            load if found is None else replace(found, state=load.state, reason=load.reason, changed_at=load.changed_at)
        )

    return [
        replace(model, versions=tuple(replace(it, replicas=tuple(map(told, it.replicas))) for it in model.versions))
        for model in models
    ]


def measured_bytes(version: VersionStatus) -> int | None:
    """On the replica where it takes the most; None: it was measured nowhere."""
    return max((it.measured_bytes for it in version.replicas if it.measured_bytes is not None), default=None)


def cell(version: VersionStatus) -> str:
    """`12.3Mi/1Mi`: measured, declared."""
    sizes = measured_bytes(version), version.model.spec.memory_bytes
    return "/".join("-" if it is None else quantity(it) for it in sizes)


def in_words(version: VersionStatus) -> str:
    measured, declared = measured_bytes(version), version.model.spec.memory_bytes
    if measured is None:
        return quantity(declared) if declared is not None else "not declared, so it counts as nothing"
    return f"{quantity(measured)} measured, {'none' if declared is None else quantity(declared)} declared"


def notes(version: VersionStatus) -> list[str]:
    """What the servers say of it, each sentence once, with where."""
    where: dict[str, list[str]] = {}
    for it in version.replicas:
        if it.note:
            where.setdefault(it.note, []).append(str(it.replica))
    return [f"on {', '.join(replicas)}: {note}" for note, replicas in where.items()]
