"""Where a model is or would be, and why not elsewhere, in lines of text."""

from collections.abc import Iterable

from modelyard.client.results import Applied
from modelyard.domain.status import ApplyOutcome, Explanation, Verdict

_MOST_NAMED = 4


def reasons(verdicts: Iterable[Verdict]) -> list[str]:
    """One line for each reason of those not chosen, with all replicas that give it."""
    said: dict[str, list[str]] = {}
    for it in verdicts:
        if not it.chosen:
            said.setdefault(it.reason or "no reason given", []).append(str(it.replica))
    return [f"{_named(replicas)}: {reason}" for reason, replicas in said.items()]


def _named(replicas: list[str]) -> str:
    if len(replicas) <= _MOST_NAMED + 1:
        return ", ".join(replicas)
    return f"{', '.join(replicas[:_MOST_NAMED])} and {len(replicas) - _MOST_NAMED} more"


def chosen(explanation: Explanation) -> str:
    """`local/0, local/1`."""
    return _named([str(it.replica) for it in explanation.verdicts if it.chosen])


def applied_line(it: Applied) -> str:
    """`model/iris created (version 1): on local/0`."""
    version = f" (version {it.version})" if it.version else ""
    what = "has a new version" if it.outcome is ApplyOutcome.NEW_VERSION else it.outcome.value
    where = chosen(it.explanation) if it.explanation and it.explanation.placed else ""
    return f"{it.subject} {what}{version}" + (f": on {where}" if where else "")


def homeless(it: Applied) -> list[str]:
    """The warning for a model that is accepted and has nowhere to go, with every reason; nothing where it has."""
    if it.explanation is None or it.explanation.placed:
        return []
    why = reasons(it.explanation.verdicts)
    if not why:
        return [f"{it.subject} has nowhere to go yet: {it.explanation.summary}"]
    return [f"{it.subject} has nowhere to go yet:", *(f"  {line}" for line in why)]


def dry_run_lines(it: Applied) -> list[str]:
    """What applying would do, where the model would go, and why to no other replica."""
    doing = {
        ApplyOutcome.CREATED: "would be created",
        ApplyOutcome.UNCHANGED: "would stay as it is",
        ApplyOutcome.RESCHEDULED: "would be rescheduled",
        ApplyOutcome.NEW_VERSION: "would be changed",
    }[it.outcome]
    if it.explanation is None:
        return [f"{it.subject} {doing} (dry run)"]
    why_not = reasons(it.explanation.verdicts)
    # A refusal's summary has the reasons of all replicas; here they follow, one a line.
    summary = it.explanation.summary if it.explanation.placed or not why_not else "it would go nowhere"
    lines = [f"{it.subject} {doing} (dry run): {summary}"]
    lines += [f"  {each.replica}: {each.reason or 'chosen'}" for each in it.explanation.verdicts if each.chosen]
    return lines + [f"  not {line}" for line in why_not]
