"""What was made of a model: the graph's inputs and outputs against the native model's. Plain data, kept as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelyard.runtime.acceleration.check import Comparison


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the graph. `columns`: places in a row. `datatype`: FP32, FP64 or BYTES."""

    name: str
    columns: tuple[int, ...]
    datatype: str


@dataclass(frozen=True, slots=True)
class Output:
    """`name` and `datatype` as the native model has them, `inside`: its name in the graph."""

    name: str
    inside: str
    datatype: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`width`: columns of a row; `names`: theirs, if they have any. `missing`: whether NaN was checked; infinities were
    not. `known`: of a column, by its place, the only values that the native model takes. `native`: what is left to
    the native model of all outputs that there are in the graph, and why.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    width: int
    names: tuple[str, ...]
    missing: bool
    known: Mapping[int, frozenset[Any]]
    comparison: Comparison
    native: Mapping[str, str] = field(default_factory=dict)


def to_json(plan: Plan) -> dict[str, Any]:
    return {
        "inputs": [asdict(it) for it in plan.inputs],
        "outputs": [asdict(it) for it in plan.outputs],
        "width": plan.width,
        "names": list(plan.names),
        "missing": plan.missing,
        "known": {str(place): sorted(values) for place, values in plan.known.items()},
        "comparison": asdict(plan.comparison),
        "native": dict(plan.native),
    }


def from_json(found: Any) -> Plan:
    """Raises `ValueError`, `TypeError` or `KeyError` for what `to_json` did not write."""
    return Plan(
        inputs=tuple(Input(str(it["name"]), tuple(map(int, it["columns"])), it["datatype"]) for it in found["inputs"]),
        outputs=tuple(Output(str(it["name"]), str(it["inside"]), it["datatype"]) for it in found["outputs"]),
        width=int(found["width"]),
        names=tuple(map(str, found["names"])),
        missing=bool(found["missing"]),
        known={int(place): frozenset(values) for place, values in found["known"].items()},
        comparison=Comparison(**found["comparison"]),
        native={str(name): str(reason) for name, reason in found["native"].items()},
    )
