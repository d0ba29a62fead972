"""Choose the server replicas that should hold a version: filter, then rank, and keep the reason of every no.

Pure: the same state gives the same answer. All replicas of a version are on one server. A server that can take all
wanted replicas beats one that takes at least the minimum; among equals the present server stays, then the best
replicas decide.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.domain.names import ReplicaId
from modelyard.scheduler.placement.demand import Demand
from modelyard.scheduler.placement.filters import FILTERS, Filter
from modelyard.scheduler.placement.ranks import RANKS, Rank
from modelyard.scheduler.state import Replica, Server

# In a sentence; each replica's own reason is kept beside it.
MOST_REASONS = 4
MOST_REPLICAS = 5


@dataclass(frozen=True, slots=True)
class Placement:
    """`short`: why it is fewer replicas than wanted; empty where it is not. `reasons`: the other replicas' noes."""

    server: str
    replicas: tuple[ReplicaId, ...]
    short: str = ""
    reasons: Mapping[ReplicaId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """Nowhere fits; the summary says it in a sentence, and every replica says why."""

    summary: str
    reasons: Mapping[ReplicaId, str]


@dataclass(frozen=True, slots=True)
class _Choice:
    server: str
    best: tuple[Replica, ...]
    present: bool  # the model is on this server now


def place(
    demand: Demand,
    servers: Iterable[Server],
    *,
    filters: Sequence[Filter] = FILTERS,
    ranks: Sequence[Rank] = RANKS,
) -> Placement | Unplaceable:
    """Place the version's replicas on one server, or say why none will do."""
    reasons: dict[ReplicaId, str] = {}
    choices: list[_Choice] = []
    homes = {id.server for id in (*demand.held, *demand.beside)}

    def rank(replica: Replica) -> tuple[int, ...]:
        return tuple(r(demand, replica) for r in ranks)

    for server in servers:
        feasible: list[Replica] = []
        for replica in server.replicas.values():
            reason = next((said for f in filters if (said := f(demand, server, replica)) is not None), None)
            if reason is None:
                feasible.append(replica)
            else:
                reasons[replica.id] = reason
        if feasible:
            best = tuple(sorted(feasible, key=rank)[: demand.replicas.wanted])
            present = server.name in homes
            choices.append(_Choice(server.name, best, present))

    wanted, enough = demand.replicas.wanted, demand.replicas.enough
    for least in (wanted, enough):
        fitting = [choice for choice in choices if len(choice.best) >= least]
        if fitting:
            chosen = min(fitting, key=lambda c: (not c.present, -len(c.best), [rank(r) for r in c.best], c.server))
            got = len(chosen.best)
            short = "" if got >= wanted else f"{got} of {wanted} replicas: {_why(reasons, chosen.server, got)}"
            return Placement(chosen.server, tuple(r.id for r in chosen.best), short, reasons)
    for choice in choices:
        reasons |= {r.id: f"server {choice.server} has room for {len(choice.best)} of {wanted}" for r in choice.best}
    return Unplaceable(_summary(demand, choices, reasons), reasons)


def _why(reasons: Mapping[ReplicaId, str], server: str, got: int) -> str:
    noes = {id: reason for id, reason in reasons.items() if id.server == server}
    return _listed(noes) if noes else f"server {server} has {got} replicas"


def _listed(reasons: Mapping[ReplicaId, str]) -> str:
    """`local/0, local/1: lacks onnx; big/0: draining`: replicas with the same reason together."""
    same: dict[str, list[str]] = {}
    for id, reason in sorted(reasons.items()):
        same.setdefault(reason, []).append(str(id))
    said = [f"{_few(ids)}: {reason}" for reason, ids in same.items()]
    return "; ".join(said[:MOST_REASONS]) + (
        f"; and {len(said) - MOST_REASONS} more reasons" * (len(said) > MOST_REASONS)
    )


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:MOST_REPLICAS]) + (f" and {len(ids) - MOST_REPLICAS} more" * (len(ids) > MOST_REPLICAS))


def _summary(demand: Demand, choices: Sequence[_Choice], reasons: Mapping[ReplicaId, str]) -> str:
    if choices:
        most = max(len(choice.best) for choice in choices)
        return f"no server has enough suitable replicas: {demand.replicas.enough} wanted, at most {most} fit"
    if not reasons:
        where = f"server {demand.server} has no replicas" if demand.server else "there are no server replicas"
        return f"{where}: start one, or wait until its agent has connected"
    return f"no replica can take it ({_listed(reasons)})"
