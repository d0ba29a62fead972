"""What is to be placed: one version, with where it is already and where it could not be loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.domain.model import Replicas
from modelyard.domain.names import ReplicaId
from modelyard.scheduler.sizes import Size
from modelyard.scheduler.state import GOING, HOLDING, Phase, Replica, State, Version


@dataclass(frozen=True, slots=True)
class Demand:
    """`held`: replicas that hold the version, or are loading it; `failed`: replicas that could not, and why."""

    name: str
    size: Size
    replicas: Replicas
    requirements: frozenset[str] = frozenset()
    server: str | None = None
    explainer: bool = False
    held: frozenset[ReplicaId] = frozenset()
    loaded: frozenset[ReplicaId] = frozenset()
    going: frozenset[ReplicaId] = frozenset()
    failed: Mapping[ReplicaId, str] = field(default_factory=dict)
    # Where its other versions are: said when there is no room beside them.
    beside: Mapping[ReplicaId, int] = field(default_factory=dict)
    # Where requests go now, of those that hold it.
    routed: frozenset[ReplicaId] = frozenset()

    def needed_bytes(self, replica: Replica) -> int:
        return self.size.needed_bytes(as_declared=replica.accounts_for_itself)

    def needs(self, replica: Replica) -> str:
        """`needs 12.3Mi (measured; 1Mi declared)`."""
        return f"needs {self.size.in_words(as_declared=replica.accounts_for_itself)}"


def demand_for(state: State, version: Version) -> Demand:
    """What is to be placed, with where it is now."""
    spec, record = version.model.spec, state.models.get(version.model.name)
    assignments = version.assignments.values()
    return Demand(
        name=version.model.name,
        size=state.size(version),
        replicas=version.model.replicas,
        requirements=spec.requirements,
        server=spec.server,
        explainer=spec.explainer_type is not None,
        held=frozenset(a.replica for a in assignments if a.phase in HOLDING),
        loaded=frozenset(a.replica for a in assignments if a.phase is Phase.LOADED),
        routed=frozenset(a.replica for a in assignments if a.routed_at is not None),
        going=frozenset(a.replica for a in assignments if a.phase in GOING and a.phase is not Phase.LEAVING),
        failed={a.replica: f"could not load it: {a.reason}" for a in assignments if a.phase is Phase.FAILED},
        beside={a.replica: a.version.version for a in record.assignments() if a.version != version.id}
        if record
        else {},
    )
