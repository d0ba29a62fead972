"""What a method of a user's returned, as tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import ModelFailed
from modelyard.runtime.formats import outputs
from modelyard.wire.oip.nouns import Tensor

OUTPUT = "predict"


def tensors(found: Any, names: Sequence[str] = (), *, column: bool = False) -> list[Tensor]:
    """`names`: what the settings call the outputs. `column`: flat arrays become columns. Raises `ModelFailed`."""
    if isinstance(found, Mapping):
        return [outputs.tensor(str(name), _plain(it), column=column) for name, it in found.items()]
    if hasattr(found, "columns") and hasattr(found, "to_numpy"):
        return outputs.of_frame(found)
    if isinstance(found, tuple) and len(names) > 1:
        if len(found) != len(names):
            raise ModelFailed(f"the model returned {len(found)} outputs, its settings name {len(names)}")
        return [outputs.tensor(name, _plain(it), column=column) for name, it in zip(names, found, strict=True)]
    if found is None:
        raise ModelFailed("the model returned nothing")
    return [outputs.tensor(names[0] if len(names) == 1 else OUTPUT, _plain(found), column=column)]


def chosen(found: Sequence[Tensor], wanted: Sequence[str]) -> Sequence[Tensor]:
    """Those asked for, in that order; all where none is. Raises `InvalidInput`."""
    by_name = {it.name: it for it in found}
    for name in wanted:
        if name not in by_name:
            raise InvalidInput(f"output '{name}' is not an output of the model; the outputs are {', '.join(by_name)}")
    return [by_name[name] for name in wanted] if wanted else found


def joined(parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The parts of a stream below one another, for who wants one answer. Raises `ModelFailed`."""
    if not parts:
        raise ModelFailed("the model's stream had no parts")
    try:
        return [
            Tensor(it.name, it.datatype, np.concatenate([part[place].data for part in parts]), it.parameters)
            for place, it in enumerate(parts[0])
        ]
    except (ValueError, IndexError):
        raise ModelFailed(
            "the parts of the model's stream do not go below one another: ask for a stream (infer_stream)"
        ) from None


def _plain(found: Any) -> Any:
    """A single value is an array of one."""
    to_numpy = getattr(found, "to_numpy", None)
    array = to_numpy() if to_numpy is not None else found
    single = isinstance(array, str | bytes | int | float | bool) or getattr(array, "ndim", None) == 0
    return np.array([array]) if single else array
