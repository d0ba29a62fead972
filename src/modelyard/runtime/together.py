"""Requests that arrive in one turn of the event loop run as one call of their model.

The first of a kind asks the loop to be called when it has read everything that had arrived; what comes until then
joins. A model that is told to wait for more does so with a timer, and no longer than until the call is full.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from modelyard.kit.errors import ModelyardError
from modelyard.runtime import batching
from modelyard.runtime.batching import Limits, Share
from modelyard.runtime.predicting import predict
from modelyard.runtime.repository import InUse
from modelyard.wire.oip.nouns import Array, InferResponse, Tensor

ToAnswer: TypeAlias = Callable[[Sequence[Tensor]], InferResponse]


@dataclass(slots=True, eq=False)
class _Request:
    inputs: Mapping[str, Array]
    rows: int
    to_answer: ToAnswer
    answer: "asyncio.Future[InferResponse]"


@dataclass(slots=True, eq=False)
class _Call:
    """The requests that will run together."""

    in_use: InUse
    outputs: Sequence[str]
    requests: list[_Request] = field(default_factory=list)
    all_rows: int = 0
    all_bytes: int = 0
    timer: asyncio.Handle | None = None

    def has_room(self, more: Share, limits: Limits) -> bool:
        return (
            len(self.requests) < limits.requests
            and self.all_rows + more.rows <= limits.rows
            and self.all_bytes + more.input_bytes <= limits.input_bytes
        )


class Together:
    """The calls that are being gathered, of all models."""

    def __init__(self) -> None:
        self._gathering: dict[tuple[InUse, batching.Kind], _Call] = {}

    def add(
        self,
        in_use: InUse,
        mine: Share,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        limits: Limits,
        to_answer: ToAnswer,
    ) -> "asyncio.Future[InferResponse]":
        """What `to_answer` makes of the outputs, later. The inputs fit the model; it is in use until the call is over.

        The answer may be cancelled: the request then runs no more if it has not begun, and others go on.
        """
        loop = asyncio.get_running_loop()
        key = (in_use, mine.kind)
        call = self._gathering.get(key)
        if call is not None and not call.has_room(mine, limits):
            self._soon(loop, key, call)
            call = None
        if call is None:
            call = self._gathering[key] = _Call(in_use, outputs)
            if limits.wait_seconds > 0:
                call.timer = loop.call_later(limits.wait_seconds, self._run, key, call)
            else:
                loop.call_soon(self._run, key, call)
        request = _Request(inputs, mine.rows, to_answer, loop.create_future())
        call.requests.append(request)
        call.all_rows += mine.rows
        call.all_bytes += mine.input_bytes
        in_use.begin()
        if call.timer is not None and len(call.requests) >= limits.requests:
            self._soon(loop, key, call)
        return request.answer

    def _soon(self, loop: asyncio.AbstractEventLoop, key: tuple[InUse, batching.Kind], call: _Call) -> None:
        """Nobody may join any more: what still waited for its timer need not."""
        del self._gathering[key]
        if call.timer is not None:
            call.timer.cancel()
            loop.call_soon(self._run, key, call)

    def _run(self, key: tuple[InUse, batching.Kind], call: _Call) -> None:
        if self._gathering.get(key) is call:
            del self._gathering[key]
        try:
            _answer(call)
        finally:
            for _ in call.requests:
                call.in_use.end()


def _answer(call: _Call) -> None:
    alive = [it for it in call.requests if not it.answer.done()]
    parts = _as_one(call, alive) if len(alive) > 1 else None
    if parts is not None:
        for request, part in zip(alive, parts, strict=True):
            request.answer.set_result(request.to_answer(part))
        return
    for request in alive:
        try:
            found = predict(call.in_use.loaded, request.inputs, call.outputs)
        except ModelyardError as error:
            request.answer.set_exception(error)
        else:
            request.answer.set_result(request.to_answer(found))


def _as_one(call: _Call, requests: Sequence[_Request]) -> Sequence[Sequence[Tensor]] | None:
    """None where it failed: which request was to blame shows when each runs alone."""
    try:
        found = call.in_use.loaded.model.predict(batching.join([it.inputs for it in requests]), call.outputs)
        return batching.split(found, [it.rows for it in requests])
    except BaseException:  # also SystemExit, which would end the event loop
        return None
