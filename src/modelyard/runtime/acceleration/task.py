"""What the child is told and what it says, as JSON on standard input and in files of its folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelyard.runtime.acceleration.check import Limits
from modelyard.wire.oip.loading import LoadOrder

GRAPH = "model.onnx"
REPORT = "report.json"
DONE, NO_MEMORY, ORPHANED = 0, 10, 11


@dataclass(frozen=True, slots=True)
class Task:
    """`folder`: the model's. `into`: where the graph and the report are put. `memory_bytes`: the most that is taken.
    `parent`: the server's process, with which the child ends.
    """

    folder: str
    order: LoadOrder
    into: str
    limits: Limits
    pickle: bool
    rows: int
    memory_bytes: int
    parent: int


def to_json(task: Task) -> bytes:
    return json.dumps(asdict(task)).encode()


def from_json(text: bytes) -> Task:
    found: dict[str, Any] = json.loads(text)
    order = found.pop("order")
    order["requirements"] = tuple(order["requirements"])
    return Task(order=LoadOrder(**order), limits=Limits(**found.pop("limits")), **found)


def report_path(into: str | Path) -> Path:
    return Path(into) / REPORT
