"""Reasons why a replica cannot hold a model. Each filter reads as an adjective; None passes.

The order is the order in which a user would want to hear them: who is asked at all, what it can do, whether it fits.
"""

from collections.abc import Callable
from typing import TypeAlias

from modelyard.kit.sizes import quantity
from modelyard.scheduler.placement.demand import Demand
from modelyard.scheduler.state import Link, Replica, Server

Filter: TypeAlias = Callable[[Demand, Server, Replica], str | None]
EXPLAINER_CAPABILITY = "alibi-explain"


def asked(demand: Demand, server: Server, _replica: Replica) -> str | None:
    if demand.server is not None and demand.server != server.name:
        return f"the model is pinned to server {demand.server}"
    return None


def shared(demand: Demand, _server: Server, replica: Replica) -> str | None:
    if demand.server is None and not replica.shared:
        return "takes only models that are pinned to it"
    return None


def kept(_demand: Demand, server: Server, _replica: Replica) -> str | None:
    return "its server is being taken down" if server.given_up else None


def connected(demand: Demand, _server: Server, replica: Replica) -> str | None:
    match replica.link:
        case Link.CONNECTED:
            return None
        case Link.SUSPECT:
            return None if replica.id in demand.loaded else "its agent is lost"
        case Link.EXPECTED:
            return "its agent has not connected yet"


def staying(_demand: Demand, _server: Server, replica: Replica) -> str | None:
    return "draining" if replica.draining else None


def capable(demand: Demand, _server: Server, replica: Replica) -> str | None:
    assert replica.config is not None
    missing = demand.requirements - replica.config.capabilities
    if missing:
        has = ", ".join(sorted(replica.config.capabilities)) or "nothing"
        return f"lacks {', '.join(sorted(missing))} (has {has})"
    if demand.explainer and EXPLAINER_CAPABILITY not in replica.config.capabilities:
        return f"explainers need the capability {EXPLAINER_CAPABILITY}"
    return None


def proven(demand: Demand, _server: Server, replica: Replica) -> str | None:
    return demand.failed.get(replica.id) if demand.failed else None


def settled(demand: Demand, _server: Server, replica: Replica) -> str | None:
    return "still unloading this version" if demand.going and replica.id in demand.going else None


def small_enough(demand: Demand, _server: Server, replica: Replica) -> str | None:
    """Overcommit adds models, never size: one model must fit physical memory by itself."""
    assert replica.config is not None
    if demand.needed_bytes(replica) <= replica.config.memory_bytes:
        return None
    return f"{demand.needs(replica)}, the replica has {quantity(replica.config.memory_bytes)} in all"


def roomy(demand: Demand, _server: Server, replica: Replica) -> str | None:
    if demand.needed_bytes(replica) <= max(0, replica.free_bytes) or replica.id in demand.held:
        return None
    short = f"{demand.needs(replica)}, {quantity(max(0, replica.free_bytes))} free"
    version = demand.beside.get(replica.id)
    return short if version is None else f"{short}: does not fit beside version {version}"


FILTERS: tuple[Filter, ...] = (
    asked,
    shared,
    kept,
    connected,
    staying,
    capable,
    proven,
    settled,
    small_enough,
    roomy,
)
