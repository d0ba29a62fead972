"""Calls of a model for several requests: each gets its own answer or its own error. Slow: not for the event loop."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from modelyard.kit.errors import ModelyardError
from modelyard.runtime import batching, fitting
from modelyard.runtime.batching import Share
from modelyard.runtime.errors import ModelFailed, first_line
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.predicting import predict
from modelyard.wire.oip.nouns import Array, InferRequest, Tensor

log = logging.getLogger(__name__)

Outcome: TypeAlias = Sequence[Tensor] | ModelyardError


@dataclass(frozen=True, slots=True)
class Fitted:
    """A request as its model takes it. `share` None: it runs alone."""

    inputs: Mapping[str, Array]
    outputs: Sequence[str]
    share: Share | None


def fit(loaded: LoadedModel, request: InferRequest) -> Fitted:
    """Raises `InvalidInput`, naming the tensor or the output."""
    model = loaded.model
    outputs = fitting.choose_outputs(model.signature, request.outputs)
    inputs = model.fit(request)
    limits = loaded.batching
    return Fitted(inputs, outputs, batching.share(inputs, outputs, limits) if limits is not None else None)


def run(loaded: LoadedModel, requests: Sequence[InferRequest]) -> list[Outcome]:
    """The outcome of each, in order; those that may share a call of the model do."""
    outcomes: list[Outcome | None] = [None] * len(requests)
    groups: dict[object, list[tuple[int, Fitted]]] = {}
    for place, request in enumerate(requests):
        fitted = _fitted(loaded, request)
        if isinstance(fitted, ModelyardError):
            outcomes[place] = fitted
        else:
            kind = fitted.share.kind if fitted.share is not None else place
            groups.setdefault(kind, []).append((place, fitted))
    for group in groups.values():
        for part in _within_limits(loaded, group):
            for (place, _), outcome in zip(part, run_fitted(loaded, [it for _, it in part]), strict=True):
                outcomes[place] = outcome
    return [it for it in outcomes if it is not None]


def run_fitted(loaded: LoadedModel, requests: Sequence[Fitted]) -> list[Outcome]:
    """Requests of one kind as one call; one by one where that fails, so that an error stays with its cause."""
    if len(requests) > 1:
        found = _as_one(loaded, requests)
        if found is not None:
            return found
    return [_alone(loaded, it) for it in requests]


def _fitted(loaded: LoadedModel, request: InferRequest) -> Fitted | ModelyardError:
    try:
        return fit(loaded, request)
    except ModelyardError as error:
        return error
    except Exception as error:
        log.warning("the model %s failed: %s: %s", loaded.name, type(error).__name__, first_line(error))
        return ModelFailed(f"the model '{loaded.name}' failed: {type(error).__name__}: {first_line(error)}")


def _within_limits(loaded: LoadedModel, group: list[tuple[int, Fitted]]) -> list[list[tuple[int, Fitted]]]:
    """What fits into one call, call after call."""
    limits = loaded.batching
    if limits is None or len(group) == 1:
        return [[it] for it in group]
    parts: list[list[tuple[int, Fitted]]] = []
    rows = size = 0
    for place, fitted in group:
        share = fitted.share
        assert share is not None
        full = not parts or len(parts[-1]) >= limits.requests
        if full or rows + share.rows > limits.rows or size + share.input_bytes > limits.input_bytes:
            parts.append([])
            rows = size = 0
        parts[-1].append((place, fitted))
        rows, size = rows + share.rows, size + share.input_bytes
    return parts


def _as_one(loaded: LoadedModel, requests: Sequence[Fitted]) -> list[Outcome] | None:
    """None where it failed: which request was to blame shows when each runs alone."""
    try:
        joined = batching.join([it.inputs for it in requests])
        found = loaded.model.predict(joined, requests[0].outputs)
        parts = batching.split(found, [it.share.rows for it in requests if it.share is not None])
    except BaseException:  # also SystemExit, which would end the event loop
        return None
    return list(parts) if parts is not None else None


def _alone(loaded: LoadedModel, request: Fitted) -> Outcome:
    try:
        return predict(loaded, request.inputs, request.outputs)
    except ModelyardError as error:
        return error
