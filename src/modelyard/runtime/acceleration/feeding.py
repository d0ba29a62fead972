"""From a request, or rows that were drawn, to what the graph takes. Pure."""

from collections.abc import Sequence

import numpy as np

from modelyard.runtime.acceleration.errors import LeftToNative
from modelyard.runtime.acceleration.plan import Input, Plan
from modelyard.wire.oip import content_types
from modelyard.wire.oip.content_types import Defaults
from modelyard.wire.oip.nouns import BYTES, DTYPES, Array, InferRequest

# Beyond this scikit-learn's trees refuse a number, which FP32 cannot hold.
_LARGEST = float(np.finfo(np.float32).max)


def columns(request: InferRequest, plan: Plan, defaults: Defaults) -> Sequence[Array]:
    """The request as arrays of rows, side by side: one for all columns of the model, or one for each.

    Raises `LeftToNative` for another form, `InvalidInput` for what cannot be decoded.
    """
    if len(request.inputs) == 1 and content_types.plain(request, defaults):
        only = request.inputs[0]
        if only.data.shape[1:] == (plan.width,) and (only.name not in plan.names or plan.width == 1):
            return [only.data]
    given = content_types.decode(request, defaults)
    if any(it.content_type in (content_types.BASE64, content_types.DATETIME) for it in given):
        raise LeftToNative("it holds bytes or times")
    if len(given) == 1 and (given[0].name not in plan.names or plan.width == 1):
        data = given[0].data
        if data.ndim == 1 and plan.width == 1:
            data = data.reshape(-1, 1)
        if data.ndim != 2 or data.shape[1] != plan.width:
            raise LeftToNative("the table has another shape")
        return [data]
    tensors = {it.name: it.data for it in given}
    if len(tensors) != len(given) or tensors.keys() != set(plan.names):
        raise LeftToNative("the tensors are not the columns")
    found = [tensors[name] for name in plan.names]
    rows = len(found[0]) if found[0].ndim else 0
    if any(it.shape not in ((rows,), (rows, 1)) for it in found):
        raise LeftToNative("the columns are of different lengths")
    return [it.reshape(-1, 1) for it in found]


def feeds(parts: Sequence[Array], plan: Plan) -> dict[str, Array]:
    """`parts`: the columns of the model as `columns` gives them; texts as `str` or as UTF-8.

    Raises `LeftToNative` for what the compiled model was not checked for.
    """
    if len(parts) == len(plan.inputs) == 1:
        return {plan.inputs[0].name: _taken(parts[0], plan.inputs[0], plan)}
    found: dict[str, Array] = {}
    for it in plan.inputs:
        if len(parts) == 1:
            data = parts[0][:, list(it.columns)]
        elif any(parts[place].dtype == object for place in it.columns) and it.datatype != BYTES:
            raise LeftToNative("not all are numbers")
        else:
            data = np.concatenate([parts[place] for place in it.columns], axis=1)
        found[it.name] = _taken(data, it, plan)
    return found


def _taken(data: Array, wanted: Input, plan: Plan) -> Array:
    if not len(data):
        raise LeftToNative("there are no rows")
    if wanted.datatype == BYTES:
        if data.dtype != object:
            raise LeftToNative("not all are texts")
        found = np.array([_text(it) for it in data.reshape(-1)], dtype=object).reshape(data.shape)
    else:
        if data.dtype.kind not in "biuf":
            raise LeftToNative("not all are numbers")
        found = data.astype(DTYPES[wanted.datatype if data.dtype.kind != "f" else "FP64"], copy=False)
        largest = max(found.max(), -found.min())  # NaN where there is one
        if not largest <= _LARGEST and not (plan.missing and _without_nan(found) <= _LARGEST):
            raise LeftToNative("not all are finite")
        found = found.astype(DTYPES[wanted.datatype], copy=False)
    for place in plan.known.keys() & set(wanted.columns) if plan.known else ():
        column = found[:, wanted.columns.index(place)]
        if not plan.known[place].issuperset(column.tolist()):
            raise LeftToNative("a category is unknown")
    return np.ascontiguousarray(found)


def _without_nan(found: Array) -> float:
    """The largest number; 0 where all are NaN."""
    return float(np.max(np.abs(found), initial=0.0, where=~np.isnan(found)))


def _text(element: object) -> str:
    if isinstance(element, str):
        return element
    try:
        if isinstance(element, bytes):
            return element.decode()
    except UnicodeDecodeError:
        pass
    raise LeftToNative("not all are texts")
