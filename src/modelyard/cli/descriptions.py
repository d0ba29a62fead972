"""The text of `describe`. Pure: `now` is given."""

from collections.abc import Iterable, Sequence

from modelyard.cli import rows, sizes, table, words
from modelyard.cli.placements import reasons
from modelyard.cli.shapes import short
from modelyard.client.results import Explained
from modelyard.domain.status import ModelStatus, Note, ReplicaModelStatus, ServerStatus, VersionStatus
from modelyard.kit.sizes import portion, quantity


def model_lines(
    status: ModelStatus, explained: Explained, notes: Sequence[str], history: Sequence[Note], now: float
) -> list[str]:
    newest = status.versions[-1]
    out = [
        *_fields(
            {
                "Name": status.name,
                "State": f"{short(newest.state.value)}" + (f": {newest.reason}" if newest.reason else ""),
                "Where": explained.explanation.summary if explained.explanation.placed else "",
                "Replicas": _counts(newest),
                "URI": newest.model.spec.artifact.uri,
                "Requires": ", ".join(sorted(newest.model.spec.requirements)),
                "Memory": sizes.in_words(newest),
                "Server": f"only {newest.model.spec.server}" if newest.model.spec.server else "",
            }
        ),
        "Versions:",
    ]
    for version in reversed(status.versions):
        since = f" for {words.age(version.changed_at, now)}" if version.changed_at else ""
        reason = f": {version.reason}" if version.reason and version is not newest else ""
        out.append(f"  {version.version}  {short(version.state.value)}{since}{reason}")
        out += [
            f"     {load.replica}  {load.state.value}"
            + (f" for {words.age(load.changed_at, now)}" if load.changed_at else "")
            + (f", {quantity(load.measured_bytes)} measured" if load.measured_bytes is not None else "")
            + (f": {load.reason}" if load.reason else _fetching(load))
            for load in version.replicas
        ]
    elsewhere = reasons(explained.explanation.verdicts)
    if elsewhere:
        out += ["Not on:", *(f"  {line}" for line in elsewhere)]
    notes = [*notes, *sizes.notes(newest)]
    if notes:
        out += ["Notes:", *(f"  {line}" for line in notes)]
    return out + _history(history)


def _fetching(load: ReplicaModelStatus) -> str:
    return f": fetching {portion(load.fetched_bytes, load.fetch_total_bytes)}" if load.fetched_bytes is not None else ""


def _counts(version: VersionStatus) -> str:
    counts = version.model.replicas
    bounds = "".join(
        f", {word} {value}" for word, value in (("at least", counts.minimum), ("at most", counts.maximum)) if value
    )
    zero = ", may scale to zero" if counts.minimum == 0 else ""
    return f"{version.available_replicas} available of {counts.wanted} wanted{bounds}{zero}"


def server_lines(status: ServerStatus, history: Sequence[Note], now: float) -> list[str]:
    notice, manifest = status.notice, status.manifest
    out = _fields(
        {
            "Name": status.name,
            "Replicas": rows.server(status, now)[1] + " connected",
            "Bounds": ", ".join(
                f"{word} {value}"
                for word, value in (
                    ("at least", notice.minimum if notice else None),
                    ("at most", notice.maximum if notice else None),
                )
                if value is not None
            ),
            "Config": manifest.server_config if manifest else "",
            "Shared": "" if status.shared else "no: it takes only models that are pinned to it",
        }
    )
    for replica in status.replicas:
        config = replica.config
        since = f" for {words.age(replica.since, now)}" if replica.since else ""
        reason = f": {replica.reason}" if replica.reason else ""
        out.append(f"Replica {replica.replica}: {replica.state.value}{since}{reason}")
        if config:
            out.append(
                f"  memory {quantity(replica.assigned_bytes)} assigned of {quantity(config.assignable_bytes)}"
                f" (over-commit {config.overcommit_percent}%), at {config.host}:{config.http_port}"
            )
            out.append(f"  capabilities {', '.join(sorted(config.capabilities)) or 'none'}")
        held = [
            (
                f"  {it.version}",
                it.state.value,
                quantity(it.accounted_bytes),
                f"{quantity(it.measured_bytes)} measured" if it.measured_bytes is not None else "",
                "" if it.resident is None else "resident" if it.resident else "evicted",
                it.reason or it.note,
            )
            for it in replica.models
        ]
        if held:
            out += table.lines(("  MODEL", "STATE", "ACCOUNTED", "MEASURED", "IN MEMORY", "REASON"), held)
    return out + _history(history)


def _fields(values: dict[str, str]) -> list[str]:
    width = max(len(name) for name in values) + 1
    return [f"{name + ':':<{width}} {value}" for name, value in values.items() if value]


def _history(notes: Iterable[Note]) -> list[str]:
    lines = [f"  {words.moment(it.time)}  {it.text}" + (f"  (by: {it.cause})" if it.cause else "") for it in notes]
    return ["Events:", *lines] if lines else ["Events: none"]
