"""Which replicas to start, stop or change, given the servers that are wanted and the replicas there are. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest, ServerNotice
from modelyard.run.replica import ReplicaSettings

BUILT_IN = "modelyard"
# What needs no extra: a replica with the libraries of more formats has those too.
BUILT_IN_CAPABILITIES = ("modelyard", "onnx", "sklearn")
DEFAULT_MEMORY_BYTES = 1 << 30
MOST_REPLICAS = 64  # of one server on one machine: a typing slip must not start a thousand processes


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything not named stays as it is. `refused`: by server, why its manifest is not acted on."""

    start: Mapping[ReplicaId, ReplicaSettings]
    change: Mapping[ReplicaId, ReplicaSettings]
    stop: tuple[ReplicaId, ...]  # of each server the highest index first
    refused: Mapping[str, str]


def decide(
    wanted: Iterable[ServerManifest],
    there: Mapping[ReplicaId, ReplicaSettings],
    built_in: tuple[str, ...] = BUILT_IN_CAPABILITIES,
) -> Plan:
    """`there`: the replicas that run or are being started, not those that are being stopped. `built_in`: what the
    built-in runtime can serve here."""
    servers = {manifest.name: manifest for manifest in wanted}
    refused = {name: problem for name, it in servers.items() if (problem := refusal(it)) is not None}
    want = {
        ReplicaId(name, index): settings(manifest, built_in)
        for name, manifest in servers.items()
        if name not in refused
        for index in range(manifest.replicas.wanted)
    }
    # What runs of a server whose newest manifest is refused goes on as before.
    stop = [replica for replica in there if replica not in want and replica.server not in refused]
    return Plan(
        start={replica: it for replica, it in want.items() if replica not in there},
        change={replica: it for replica, it in want.items() if replica in there and there[replica] != it},
        stop=tuple(sorted(stop, key=lambda replica: (replica.server, -replica.index))),
        refused=refused,
    )


def refusal(manifest: ServerManifest) -> str | None:
    """Why this provider cannot run such a server, in a sentence; None where it can."""
    if manifest.server_config != BUILT_IN:
        return (
            f"server {manifest.name} is not run here: its serverConfig is {manifest.server_config!r}, and "
            f"`modelyard up` runs {BUILT_IN!r} (the built-in runtime) only"
        )
    if manifest.overcommit_percent:
        return (
            f"server {manifest.name} is not run with an overcommit of {manifest.overcommit_percent} %: "
            "agents cannot evict models yet; leave it at 0"
        )
    if manifest.replicas.wanted > MOST_REPLICAS:
        return (
            f"server {manifest.name} is not run with {manifest.replicas.wanted} replicas: "
            f"at most {MOST_REPLICAS} on one machine"
        )
    return None


def settings(manifest: ServerManifest, built_in: tuple[str, ...] = BUILT_IN_CAPABILITIES) -> ReplicaSettings:
    base = manifest.capabilities or built_in
    extra = tuple(it for it in manifest.extra_capabilities if it not in base)
    return ReplicaSettings(
        memory_bytes=DEFAULT_MEMORY_BYTES if manifest.memory_bytes is None else manifest.memory_bytes,
        capabilities=(*base, *extra),
        overcommit_percent=manifest.overcommit_percent or 0,
    )


def notices(
    wanted: Iterable[ServerManifest], gone: Iterable[str], refused: Mapping[str, str]
) -> tuple[ServerNotice, ...]:
    """What to tell the scheduler of the servers provided here. `gone`: servers that are not wanted any more."""
    told = [
        ServerNotice(
            name=it.name,
            expected_replicas=it.replicas.wanted,
            minimum=it.replicas.minimum,
            maximum=it.replicas.maximum,
        )
        for it in wanted
        if it.name not in refused
    ]
    names = {it.name for it in wanted}
    return (*told, *(ServerNotice(name=name, expected_replicas=0) for name in sorted(set(gone) - names)))
