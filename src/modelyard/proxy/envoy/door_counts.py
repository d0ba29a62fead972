"""What a front door counts per model, read from its admin interface. Pure: where to look, and what the answer says."""

import json
from collections.abc import Mapping
from urllib.parse import quote

from modelyard.proxy.desired import Count
from modelyard.proxy.envoy.door_bootstrap import IN_FLIGHT, MODEL_TAG, REQUESTS, STATS_PREFIX


def path(model: str | None = None) -> str:
    """Of the counts of every model, or of one."""
    which = ".+" if model is None else model.replace("*", r"\*")
    pattern = rf"^{STATS_PREFIX}\.({REQUESTS}|{IN_FLIGHT})\.{MODEL_TAG}\.{which}$"
    return f"/stats?format=json&filter={quote(pattern, safe='')}"


def read(answer: bytes) -> Mapping[str, Count]:
    """By model. ValueError, KeyError, TypeError: that was no answer."""
    found: dict[str, dict[str, int]] = {}
    for stat in json.loads(answer)["stats"]:
        _, kind, _, model = stat["name"].split(".", 3)
        found.setdefault(model, {})[kind] = int(stat["value"])
    return {model: Count(it.get(REQUESTS, 0), it.get(IN_FLIGHT, 0)) for model, it in found.items()}
