"""Which of the replicas that could hold a model should. Lower is better; compared in order, without weights."""

from collections.abc import Callable
from typing import TypeAlias

from modelyard.scheduler.placement.demand import Demand
from modelyard.scheduler.state import Replica

Rank: TypeAlias = Callable[[Demand, Replica], int]


def loaded_first(demand: Demand, replica: Replica) -> int:
    """Where requests go already nothing changes; what is loaded costs nothing; what is being loaded comes next."""
    if not demand.held:
        return 3
    if replica.id in demand.loaded:
        return 0 if replica.id in demand.routed else 1
    return 2 if replica.id in demand.held else 3


def most_free_first(_demand: Demand, replica: Replica) -> int:
    return -replica.free_bytes


def emptiest_first(_demand: Demand, replica: Replica) -> int:
    """Spreads models whose memory nobody declared."""
    return len(replica.assignments)


def lowest_index_first(_demand: Demand, replica: Replica) -> int:
    return replica.id.index


RANKS: tuple[Rank, ...] = (loaded_first, most_free_first, emptiest_first, lowest_index_first)
