"""The server that `modelyard up` applies by itself when it starts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelyard.domain.model import Replicas
from modelyard.domain.server import ServerManifest
from modelyard.run.wanted import DEFAULT_MEMORY_BYTES

NAME = "local"
DEFAULT_REPLICAS = 2  # so that a replica can be lost, drained or restarted without an outage


@dataclass(frozen=True, slots=True)
class ServerWish:
    """What the flags of `modelyard up` say of the server; None: the flag was not given."""

    replicas: int | None = None
    memory_bytes: int | None = None
    overcommit_percent: int | None = None

    @property
    def is_silent(self) -> bool:
        return self == ServerWish()


def first_server(wish: ServerWish, journaled: Sequence[ServerManifest]) -> ServerManifest | None:
    """The manifest to apply; None where what was applied before stands as it is.

    Flags that are given change `local` and only in what they name. Without any, a system that knows a server, whatever
    its name, keeps what its user made of it.
    """
    if wish.is_silent and journaled:
        return None
    known = next((it for it in journaled if it.name == NAME), None)
    base = known or ServerManifest(NAME, Replicas(DEFAULT_REPLICAS), memory_bytes=DEFAULT_MEMORY_BYTES)
    if wish.replicas is not None:
        base = replace(base, replicas=_with_replicas(base.replicas, wish.replicas))
    if wish.memory_bytes is not None:
        base = replace(base, memory_bytes=wish.memory_bytes)
    if wish.overcommit_percent is not None:
        base = replace(base, overcommit_percent=wish.overcommit_percent)
    return base if base != known else None


def _with_replicas(before: Replicas, wanted: int) -> Replicas:
    """Bounds of an earlier manifest that contradict the flag give way."""
    minimum = before.minimum if before.minimum is None or before.minimum <= wanted else wanted
    maximum = before.maximum if before.maximum is None or before.maximum >= wanted else wanted
    return Replicas(wanted, minimum, maximum)
