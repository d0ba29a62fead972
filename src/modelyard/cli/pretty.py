"""JSON for readers: indented, but a list of plain values stays on one line."""

import json
from typing import Any

_INDENT = "  "


def pretty(value: Any, level: int = 0) -> str:
    inner, outer = _INDENT * (level + 1), _INDENT * level
    if isinstance(value, dict) and value:
        fields = (f"{inner}{json.dumps(key, ensure_ascii=False)}: {pretty(it, level + 1)}" for key, it in value.items())
        return "{\n" + ",\n".join(fields) + f"\n{outer}}}"
    if isinstance(value, list) and any(isinstance(it, dict | list) for it in value):
        return "[\n" + ",\n".join(inner + pretty(it, level + 1) for it in value) + f"\n{outer}]"
    return json.dumps(value, ensure_ascii=False)
