"""What runs in a worker: orders come in on one socket, and each is worked on in a thread.

Loads take turns, so that what each costs in memory can be told. How many calls of a model run at a time is the server's
to say, so here nothing waits.
"""

import contextlib
import gc
import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from modelyard.kit.errors import ModelyardError, NotFound
from modelyard.runtime import calls, memory
from modelyard.runtime.errors import ModelFailed, OutOfMemory, first_line
from modelyard.runtime.formats import artifact, load
from modelyard.runtime.formats.load import LoadedModel
from modelyard.runtime.model import StreamingModel
from modelyard.runtime.streaming import Source
from modelyard.runtime.workers import orders, reports
from modelyard.runtime.workers.frames import Decoder, encode
from modelyard.runtime.workers.orders import Close, Load, More, Order, Run, Stream, Unload
from modelyard.runtime.workers.reports import Answered, Done, Failed, Loaded, Part, Report
from modelyard.wire.oip.nouns import InferRequest, Tensor

log = logging.getLogger(__name__)

_READ_BYTES = 256 << 10
_THREADS = 256
_NICE = 10
_PATIENCE_SECONDS = 1.0
# How long a thread keeps the others from running: the usual 5 ms would add up where several models share a worker.
_SWITCH_SECONDS = 0.001


def main(connection: socket.socket) -> None:
    """Until the server closes the connection. Does not return: threads that run a model must not hold the process."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    worker = Worker(connection)
    with contextlib.suppress(OSError):
        worker.serve()
    os._exit(0)


@dataclass(slots=True, eq=False)
class _Stream:
    """`turn`: a part may still be computed when nobody wants more."""

    source: Source
    turn: threading.Lock = field(default_factory=threading.Lock)


class Worker:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._models: dict[int, LoadedModel] = {}
        self._unwanted: set[int] = set()
        self._streams: dict[int, _Stream] = {}
        self._loading = threading.Lock()
        self._writing = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, "work")

    def serve(self) -> None:
        decoder = Decoder()
        while data := self._connection.recv(max(_READ_BYTES, min(decoder.missing, 64 << 20))):
            for frame in decoder.feed(data):
                order = orders.decode(frame)
                if isinstance(order, Load) and order.quietly:
                    # A thread of its own, as it stays at the back of the queue for the processor once it is there.
                    threading.Thread(target=self._work_quietly, args=(order,), name="load", daemon=True).start()
                else:
                    self._threads.submit(self._work, order)

    def _work_quietly(self, order: Order) -> None:
        os.nice(_NICE)  # on Linux of this thread only, and of threads that it starts
        self._work(order)

    def _work(self, order: Order) -> None:
        try:
            report = self._do(order)
        except ModelyardError as error:
            report = Failed(order.id, error)
        except MemoryError:
            report = Failed(order.id, OutOfMemory("there is not enough memory"))
        except BaseException as error:  # also SystemExit: it is a model's, and not the worker's
            log.warning("a worker failed: %s: %s", type(error).__name__, first_line(error))
            report = Failed(order.id, ModelFailed(f"{type(error).__name__}: {first_line(error)}"))
        self._say(report)

    def _say(self, report: Report) -> None:
        parts = encode(reports.encode(report))
        with self._writing:
            self._connection.sendall(b"".join(parts[:2]))
            for part in parts[2:]:
                self._connection.sendall(part)

    def _do(self, order: Order) -> Report:
        match order:
            case Load():
                return self._load(order)
            case Run():
                return Answered(order.id, calls.run(self._model(order.key), order.requests))
            case Unload():
                if self._models.pop(order.key, None) is None:
                    self._unwanted.add(order.key)  # it is still being loaded
                self._settle()
                return Done(order.id)
            case Stream():
                self._streams[order.id] = self._stream(self._model(order.key), order.request)
                return Done(order.id)
            case More():
                return Part(order.id, self._next(order.stream))
            case Close():
                self._close(order.stream)
                return Done(order.id)

    def _settle(self) -> None:
        if not self._loading.acquire(timeout=_PATIENCE_SECONDS):
            return  # the load that goes on will do it, or the next
        try:
            gc.unfreeze()
            memory.settle()
            gc.freeze()
        finally:
            self._loading.release()

    def _model(self, key: int) -> LoadedModel:
        try:
            return self._models[key]
        except KeyError:
            raise NotFound("the worker does not hold this model") from None

    def _load(self, order: Load) -> Report:
        with self._loading:
            load.prepare(artifact.find(order.folder, order.order).format)
            memory.settle()
            before = memory.own_bytes()
            loaded = load.load(order.folder, order.options, order.order)
            memory.settle()
            cost = max(memory.own_bytes() - before, memory.LEAST_BYTES)
            gc.freeze()  # or every further load would walk through all models
        self._models[order.key] = loaded
        if order.key in self._unwanted:
            self._unwanted.discard(order.key)
            del self._models[order.key]
            raise NotFound("it was told to unload meanwhile")
        return Loaded(
            order.id,
            loaded.name,
            loaded.version,
            loaded.model.signature,
            loaded.batching,
            loaded.bounds,
            cost,
            loaded.note,
            load.foreign_code(loaded.model),
            isinstance(loaded.model, StreamingModel),
            loaded.example,
        )

    def _stream(self, loaded: LoadedModel, request: InferRequest) -> _Stream:
        fitted = calls.fit(loaded, request)
        assert isinstance(loaded.model, StreamingModel)
        return _Stream(Source(loaded, loaded.model, fitted.inputs, fitted.outputs))

    def _next(self, number: int) -> Sequence[Tensor] | None:
        stream = self._streams.get(number)
        if stream is None:
            return None
        with stream.turn:
            return stream.source.next()

    def _close(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            with stream.turn:
                if not stream.source.ended:
                    stream.source.close()
