"""Figures in words: ages, durations; and durations from words. Pure: `now` is given."""

import re
from datetime import UTC, datetime

from modelyard.kit.errors import InvalidInput

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")


def age(since: float, now: float) -> str:
    """`5s`, `3m`, `2h`, `4d`; nothing for a time that is not known."""
    if not since:
        return ""
    seconds = max(0, int(now - since))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def moment(since: float) -> str:
    """A time in UTC, to the second; nothing for one that is not known."""
    return datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if since else ""


def seconds_of(duration: str) -> float:
    """`30s`, `1.5m`, `2m30s`, `500ms`, or a plain number of seconds. Raises `InvalidInput`."""
    text = duration.strip().lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    parts = list(_PART.finditer(text))
    if not parts or "".join(it.group(0) for it in parts) != text:
        raise InvalidInput(f"{duration!r} is not a duration: write it like 30s, 2m or 500ms")
    return sum(float(it.group(1)) * _UNITS[it.group(2)] for it in parts)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
