"""Which requests may run as one call of a model, and whose rows are whose in the answer. Pure.

request 1   [5.1 3.5]  ─┐                            ┌─  rows 0    answer 1
request 2   [4.9 3.0]   ├─►  one call, four rows  ─►  ├─  rows 1-2  answer 2
            [6.2 2.9]   │                            │
request 3   [5.9 3.0]  ─┘                            └─  rows 3    answer 3
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from modelyard.runtime.model import Signature
from modelyard.wire.oip.nouns import Array, Tensor

Kind: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call takes at the most, and how long a request waits for others (0: only for those that came with it).

    Measured (docs/adr/0015-batching.md): beyond these one call saves next to nothing, and others wait for it longer.
    """

    requests: int = 64
    rows: int = 256
    input_bytes: int = 256 << 10
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """What one request brings to a call. Only requests of equal `kind` go together."""

    kind: Kind
    rows: int
    input_bytes: int


def has_rows(signature: Signature) -> bool:
    """Whether the first dimension of everything that goes in or comes out may vary, as that of rows does."""
    tensors = (*signature.inputs, *signature.outputs)
    return all(it.shape and it.shape[0] == -1 for it in tensors) and bool(signature.inputs)


def share(inputs: Mapping[str, Array], outputs: Sequence[str], limits: Limits) -> Share | None:
    """None where the request has to run alone: no rows, not as many in every input, or too many for company."""
    rows = -1
    size = 0
    kind: list[object] = [tuple(outputs)]
    for name, data in inputs.items():
        shape = data.shape
        if not shape or (rows >= 0 and shape[0] != rows):
            return None
        rows = shape[0]
        size += data.nbytes
        kind += (name, data.dtype, shape[1:])
    if rows < 1 or rows >= limits.rows or size >= limits.input_bytes:
        return None
    return Share(tuple(kind), rows, size)


def join(requests: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
    """The inputs of all, of one kind, below one another."""
    return {name: np.concatenate([it[name] for it in requests]) for name in requests[0]}


def split(found: Sequence[Tensor], rows: Sequence[int]) -> Sequence[Sequence[Tensor]] | None:
    """Each request's rows of every output; None where an output has not one row for each that went in."""
    total = sum(rows)
    if any(not it.data.shape or it.data.shape[0] != total for it in found):
        return None
    parts: list[list[Tensor]] = []
    start = 0
    for count in rows:
        end = start + count
        parts.append([Tensor(it.name, it.datatype, it.data[start:end]) for it in found])
        start = end
    return parts
