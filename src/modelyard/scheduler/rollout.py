"""Which version of a model serves, and what may leave: make before break.

The wanted version takes over once enough of its replicas are loaded; from then on it serves with what it has, and
older versions leave. Until then the older one stays. Whatever leaves is first out of the route.
"""

from collections.abc import Iterable

from modelyard.domain.names import ReplicaId
from modelyard.scheduler.messages import ServingVersion
from modelyard.scheduler.state import Assignment, ModelRecord, Phase, Version


def serving_version(record: ModelRecord) -> Version | None:
    """The version that requests should reach now; None when nothing is loaded, or the model is to go."""
    if record.deleting:
        return None
    loaded = [v for _, v in sorted(record.versions.items(), reverse=True) if v.in_phase(Phase.LOADED)]
    for version in loaded:
        if version.took_over or has_enough(version):
            return version
    return loaded[-1] if loaded else None


def has_enough(version: Version) -> bool:
    """Loaded often enough to take over."""
    return len(version.in_phase(Phase.LOADED)) >= version.model.replicas.enough


def standby(record: ModelRecord) -> Version | None:
    """The version that goes on serving, and is brought back where it was lost, until the wanted one takes over."""
    if record.deleting or record.wanted.took_over:
        return None
    served = [number for number, version in record.versions.items() if version.took_over]
    return record.versions[max(served)] if served else None


def surplus(record: ModelRecord, target: Iterable[ReplicaId], serving: Version | None) -> list[Assignment]:
    """The assignments that should go and may go now.

    `target`: the replicas that should hold the wanted version. Nothing loaded leaves before what replaces it is
    loaded (S5); what was never loaded just leaves.
    """
    if record.deleting:
        return [a for a in record.assignments() if a.phase in (Phase.REQUESTED, Phase.LOADING, Phase.LOADED)]
    keep = frozenset(target)
    wanted, kept = record.wanted, standby(record)
    going: list[Assignment] = []
    for version in record.versions.values():
        for assignment in version.assignments.values():
            match assignment.phase:
                case Phase.REQUESTED | Phase.LOADING:
                    if version is not kept and (version is not wanted or assignment.replica not in keep):
                        going.append(assignment)
                case Phase.LOADED:
                    if version is wanted:
                        done = all(_is_loaded(wanted, id) for id in keep) and keep
                        if assignment.replica not in keep and done:
                            going.append(assignment)
                    elif serving is not None and version is not serving and version is not kept:
                        going.append(assignment)  # replaced, or overtaken before it took over
                case _:
                    pass
    return going


def _is_loaded(version: Version, replica: ReplicaId) -> bool:
    assignment = version.assignments.get(replica)
    return assignment is not None and assignment.phase is Phase.LOADED


def route(serving: Version | None) -> ServingVersion | None:
    """The route to a version: every replica on which it is loaded and not about to leave."""
    if serving is None:
        return None
    loaded = frozenset(a.replica for a in serving.in_phase(Phase.LOADED))
    return ServingVersion(serving.id, loaded) if loaded else None
