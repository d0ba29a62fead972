"""Servers and demands for placement, said briefly."""

from collections.abc import Mapping

from modelyard.domain.model import Replicas
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig, ServerNotice
from modelyard.scheduler.placement.demand import Demand
from modelyard.scheduler.sizes import Size
from modelyard.scheduler.state import Assignment, Link, Phase, Replica, Server


def replica(
    name: str,
    *,
    memory: int = 1000,
    used: int = 0,
    overcommit: int = 0,
    can: tuple[str, ...] = ("sklearn",),
    link: Link = Link.CONNECTED,
    shared: bool = True,
    draining: bool = False,
    available: int | None = None,
    coming: int = 0,
) -> Replica:
    """`used`: bytes of one model that is loaded; `coming`: of one that is being loaded."""
    server, index = name.split("/")
    config = ReplicaConfig("h", 1, 2, memory, frozenset(can), overcommit)
    it = Replica(ReplicaId(server, int(index)), link, 0.0, config, shared, "s", draining=draining)
    if available is not None:
        it.accounts_for_itself, it.reported_available = True, available
    for size, phase, other in ((used, Phase.LOADED, "used"), (coming, Phase.LOADING, "coming")):
        if size:
            id = VersionId(other, 1)
            it.assignments[id] = Assignment(id, it.id, 0.0, size, phase)
            it.assigned_bytes += size
    return it


def servers(*replicas: Replica, given_up: tuple[str, ...] = ()) -> list[Server]:
    found: dict[str, Server] = {}
    for it in replicas:
        found.setdefault(it.id.server, Server(it.id.server)).replicas[it.id.index] = it
    for name in given_up:
        found[name].notice = ServerNotice(name, 0)
    return list(found.values())


def ids(*names: str) -> frozenset[ReplicaId]:
    return frozenset(ReplicaId(server, int(index)) for server, index in (name.split("/") for name in names))


def demand(
    *,
    memory: int = 100,
    replicas: int = 1,
    minimum: int | None = None,
    requires: tuple[str, ...] = (),
    server: str | None = None,
    explainer: bool = False,
    held: tuple[str, ...] = (),
    loaded: tuple[str, ...] = (),
    going: tuple[str, ...] = (),
    failed: Mapping[str, str] | None = None,
    beside: Mapping[str, int] | None = None,
) -> Demand:
    """`loaded` ones are held, too."""

    def keyed(it: Mapping[str, object] | None) -> dict[ReplicaId, object]:
        return {next(iter(ids(name))): value for name, value in (it or {}).items()}

    return Demand(
        "iris",
        Size(memory),
        Replicas(replicas, minimum),
        frozenset(requires),
        server,
        explainer,
        ids(*held, *loaded),
        ids(*loaded),
        ids(*going),
        keyed(failed),  # type: ignore[arg-type]
        keyed(beside),  # type: ignore[arg-type]
    )
