"""What the server tells a worker. Pickled: a worker may believe its server, and never the other way round."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from modelyard.runtime.formats.load import Options
from modelyard.runtime.workers.frames import Frame
from modelyard.wire.oip.loading import LoadOrder
from modelyard.wire.oip.nouns import InferRequest


@dataclass(frozen=True, slots=True)
class Load:
    """`key`: what the model is called from now on, as there may be two of one name. `quietly`: let everything else
    on the machine go first, where nobody in the worker waits for a lock of the thread that loads."""

    id: int
    key: int
    folder: Path
    options: Options
    order: LoadOrder
    quietly: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """As many outcomes are wanted, in order."""

    id: int
    key: int
    requests: Sequence[InferRequest]


@dataclass(frozen=True, slots=True)
class Unload:
    id: int
    key: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Begin a stream; its parts come as they are asked for."""

    id: int
    key: int
    request: InferRequest


@dataclass(frozen=True, slots=True)
class More:
    """One more part of the stream `stream`."""

    id: int
    stream: int


@dataclass(frozen=True, slots=True)
class Close:
    """Nobody wants more of the stream `stream`."""

    id: int
    stream: int


Order: TypeAlias = Load | Run | Unload | Stream | More | Close


def encode(order: Order) -> Frame:
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(order, protocol=5, buffer_callback=buffers.append)
    return Frame(head, [it.raw() for it in buffers])


def decode(frame: Frame) -> Order:
    order: Order = pickle.loads(frame.head, buffers=frame.buffers)
    return order
