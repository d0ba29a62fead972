"""Which replicas to start, stop or change, given the servers that are wanted and the replicas there are. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelyard.domain.names import ReplicaId
from modelyard.domain.server import ServerManifest, ServerNotice
from modelyard.domain.server_configs import MODELYARD, server_config_problem
from modelyard.run.replica import ReplicaSettings

# What needs no extra: a replica with the libraries of more formats has those too.
BUILT_IN_CAPABILITIES = ("modelyard", "mlflow", "onnx", "python", "sklearn")
DEFAULT_MEMORY_BYTES = 1 << 30
OFFERS: Mapping[str, tuple[str, ...]] = {MODELYARD: BUILT_IN_CAPABILITIES}
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
    offers: Mapping[str, tuple[str, ...]] = OFFERS,
) -> Plan:
    """`there`: the replicas that run or are being started, not those that are being stopped. `offers`: by server
    config, what such a server can serve here."""
    servers = {manifest.name: manifest for manifest in wanted}
    refused = {name: problem for name, it in servers.items() if (problem := refusal(it)) is not None}
    want = {
        ReplicaId(name, index): settings(manifest, offers)
        for name, manifest in servers.items()
        if name not in refused
        for index in range(manifest.replicas.wanted)
    }
    # One of another kind is stopped like one too many; what follows it starts when it is gone.
    other = {it for it in want.keys() & there.keys() if want[it].server_config != there[it].server_config}
    # What runs of a server whose newest manifest is refused goes on as before.
    stop = [it for it in there if it in other or (it not in want and it.server not in refused)]
    return Plan(
        start={replica: it for replica, it in want.items() if replica not in there},
        change={it: new for it, new in want.items() if it in there and it not in other and there[it] != new},
        stop=tuple(sorted(stop, key=lambda replica: (replica.server, -replica.index))),
        refused=refused,
    )


def refusal(manifest: ServerManifest) -> str | None:
    """Why this provider cannot run such a server, in a sentence; None where it can."""
    if (problem := server_config_problem(manifest.server_config)) is not None:
        return f"server {manifest.name} is not run here: {problem}"
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


def settings(manifest: ServerManifest, offers: Mapping[str, tuple[str, ...]] = OFFERS) -> ReplicaSettings:
    base = manifest.capabilities or offers.get(manifest.server_config, (manifest.server_config,))
    extra = tuple(it for it in manifest.extra_capabilities if it not in base)
    return ReplicaSettings(
        memory_bytes=DEFAULT_MEMORY_BYTES if manifest.memory_bytes is None else manifest.memory_bytes,
        capabilities=(*base, *extra),
        overcommit_percent=manifest.overcommit_percent or 0,
        server_config=manifest.server_config,
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
