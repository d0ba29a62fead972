"""The rows that `get` prints. Pure: `now` is given."""

from collections.abc import Iterable, Sequence

from modelyard.cli import sizes, words
from modelyard.cli.shapes import short
from modelyard.domain.status import ModelStatus, ReplicaState, ReplicaStatus, ServerStatus
from modelyard.kit.sizes import quantity

MODELS = ("NAME", "VERSION", "STATE", "AVAILABLE", "SERVER", "AGE")
MODELS_WIDE = (*MODELS, "MEMORY", "REQUIRES", "URI", "REASON")
SERVERS = ("NAME", "REPLICAS", "MODELS", "ASSIGNED", "MEMORY")
SERVERS_WIDE = (*SERVERS, "CONFIG", "CAPABILITIES")
REPLICAS = ("REPLICA", "STATE", "MODELS", "ASSIGNED", "MEMORY", "AGE")
REPLICAS_WIDE = (*REPLICAS, "ADDRESS", "OVERCOMMIT", "CAPABILITIES", "REASON")


def model(it: ModelStatus, now: float, *, wide: bool = False) -> tuple[str, ...]:
    if not it.versions:
        return (it.name, "-", "Terminated", *([""] * (len(MODELS_WIDE if wide else MODELS) - 3)))
    newest = it.versions[-1]
    spec, counts = newest.model.spec, newest.model.replicas
    row = (
        it.name,
        str(newest.version),
        short(newest.state.value),
        f"{newest.available_replicas}/{counts.wanted}",
        newest.server or "-",
        words.age(newest.changed_at, now) or "-",
    )
    if not wide:
        return row
    return (
        *row,
        sizes.cell(newest),
        ",".join(sorted(spec.requirements)) or "-",
        spec.artifact.uri,
        newest.reason or "-",
    )


def server(it: ServerStatus, now: float, *, wide: bool = False) -> tuple[str, ...]:
    _ = now  # the same form as the others
    connected = sum(replica.state is ReplicaState.CONNECTED for replica in it.replicas)
    wished = it.manifest.replicas.wanted if it.manifest else len(it.replicas)
    expected = it.notice.expected_replicas if it.notice else wished
    row = (
        it.name,
        f"{connected}/{expected}",
        str(len({held.version.model for replica in it.replicas for held in replica.models})),
        quantity(sum(replica.assigned_bytes for replica in it.replicas)),
        quantity(sum(replica.config.memory_bytes for replica in it.replicas if replica.config)),
    )
    if not wide:
        return row
    capabilities = sorted({each for replica in it.replicas if replica.config for each in replica.config.capabilities})
    return (*row, it.manifest.server_config if it.manifest else "-", ",".join(capabilities) or "-")


def replica(it: ReplicaStatus, now: float, *, wide: bool = False) -> tuple[str, ...]:
    config = it.config
    row = (
        str(it.replica),
        it.state.value.capitalize(),
        str(len(it.models)),
        quantity(it.assigned_bytes),
        quantity(config.memory_bytes) if config else "-",
        words.age(it.since, now) or "-",
    )
    if not wide:
        return row
    if config is None:
        return (*row, "-", "-", "-", it.reason or "-")
    address = config.host if config.host.startswith("unix:") else f"{config.host}:{config.http_port}"
    capabilities = ",".join(sorted(config.capabilities)) or "-"
    return (*row, address, f"{config.overcommit_percent}%", capabilities, it.reason or "-")


def without_age(row: Sequence[str], header: Sequence[str]) -> tuple[str, ...]:
    """What must differ for a row to have changed: time passing is no change."""
    return tuple(text for text, column in zip(row, header, strict=True) if column != "AGE")


def flat(servers: Iterable[ServerStatus]) -> list[ReplicaStatus]:
    return [each for it in servers for each in it.replicas]
