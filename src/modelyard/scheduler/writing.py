"""How state becomes journal writes."""

from modelyard.scheduler.messages import PutAssignment
from modelyard.scheduler.state import GOING, Assignment, Phase


def written(assignment: Assignment) -> PutAssignment:
    return PutAssignment(
        assignment.version,
        assignment.replica,
        loaded=assignment.phase in (Phase.LOADED, Phase.LEAVING),
        leaving=assignment.phase in GOING,
    )
