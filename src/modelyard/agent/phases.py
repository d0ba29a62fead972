"""The phases of a version on a replica, and which event may lead from which phase to which.

                     Fetched           Room             Loaded
    (none) ─▶ FETCHING ───▶ WAITING ─────────▶ LOADING ────────▶ LOADED
      ▲          │             ▲ │                │  UnloadOrdered  │
      │          ▼             │ └── ServerDown, LoadFailed(lost) ──┤
      ├────── CANCELLING       │                                    ▼
      │  Unloaded              │         UNLOADING ◀──── Room ── LEAVING
      └────────────────────────┴───────────── │ ───────────────────▲
                                              └─▶ STUCK ───────────┘

WAITING waits for the server, or for room that is being given back; LEAVING waits for the server. Both go on by
themselves (`Room`). An order that comes while an operation is under way is remembered and carried out after it.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import TypeAlias

from modelyard.agent.messages import (
    Fetched,
    FetchFailed,
    Loaded,
    LoadFailed,
    LoadOrdered,
    Measured,
    Restored,
    ServerDown,
    ServerReady,
    SessionOpened,
    Unloaded,
    UnloadFailed,
    UnloadOrdered,
)


class Phase(Enum):
    FETCHING = auto()  # the files are on their way
    CANCELLING = auto()  # not wanted any more; the fetch has yet to end
    WAITING = auto()  # wanted in memory; waiting for the server, or for room
    LOADING = auto()  # asked the server to load; memory is spoken for
    LOADED = auto()  # in memory, serving
    LEAVING = auto()  # to be unloaded as soon as the server is there
    UNLOADING = auto()  # asked the server to unload; memory not yet back
    STUCK = auto()  # the server would not unload it: its bytes go on counting


class Room:
    """Not an event from outside: the server is ready, and there is room for what waits."""


# None: not assigned here.
Place: TypeAlias = Phase | None
_NOT_HERE: Place = None  # a load ordered meanwhile begins from here

# What an event about a version may do to its phase. A pair that is not here is illegal.
TRANSITIONS: Mapping[tuple[Place, type], frozenset[Place]] = {
    (None, Restored): frozenset({Phase.WAITING, Phase.LEAVING}),
    (None, ServerReady): frozenset({Phase.LEAVING}),  # nobody assigned what the server holds
    (None, LoadOrdered): frozenset({Phase.FETCHING, _NOT_HERE}),
    (None, UnloadOrdered): frozenset({_NOT_HERE}),
    (Phase.FETCHING, LoadOrdered): frozenset({Phase.FETCHING, Phase.CANCELLING}),
    (Phase.FETCHING, UnloadOrdered): frozenset({Phase.CANCELLING}),
    (Phase.FETCHING, Fetched): frozenset({Phase.WAITING}),
    (Phase.FETCHING, FetchFailed): frozenset({_NOT_HERE}),
    (Phase.CANCELLING, LoadOrdered): frozenset({Phase.CANCELLING}),
    (Phase.CANCELLING, UnloadOrdered): frozenset({Phase.CANCELLING}),
    (Phase.CANCELLING, Fetched): frozenset({_NOT_HERE}),
    (Phase.CANCELLING, FetchFailed): frozenset({_NOT_HERE}),
    (Phase.WAITING, LoadOrdered): frozenset({Phase.WAITING, Phase.LEAVING}),
    (Phase.WAITING, UnloadOrdered): frozenset({Phase.LEAVING}),
    # It was there all the time, or is too large to be.
    (Phase.WAITING, ServerReady): frozenset({Phase.LOADED, Phase.LEAVING}),
    (Phase.WAITING, Room): frozenset({Phase.LOADING, Phase.FETCHING, _NOT_HERE}),
    (Phase.LOADING, LoadOrdered): frozenset({Phase.LOADING}),
    (Phase.LOADING, UnloadOrdered): frozenset({Phase.LOADING}),
    (Phase.LOADING, Loaded): frozenset({Phase.LOADED, Phase.WAITING, Phase.LEAVING}),
    (Phase.LOADING, LoadFailed): frozenset({_NOT_HERE, Phase.WAITING, Phase.LEAVING}),
    (Phase.LOADED, LoadOrdered): frozenset({Phase.LOADED, Phase.LEAVING}),
    (Phase.LOADED, UnloadOrdered): frozenset({Phase.LEAVING}),
    (Phase.LOADED, ServerDown): frozenset({Phase.WAITING}),
    (Phase.LOADED, ServerReady): frozenset({Phase.WAITING}),  # the server does not hold it after all
    (Phase.LOADED, Measured): frozenset({Phase.LEAVING}),  # too large for the replica
    (Phase.LEAVING, LoadOrdered): frozenset({Phase.LEAVING}),
    (Phase.LEAVING, UnloadOrdered): frozenset({Phase.LEAVING}),
    (Phase.LEAVING, Room): frozenset({Phase.UNLOADING}),
    (Phase.UNLOADING, LoadOrdered): frozenset({Phase.UNLOADING}),
    (Phase.UNLOADING, UnloadOrdered): frozenset({Phase.UNLOADING}),
    (Phase.UNLOADING, Unloaded): frozenset({_NOT_HERE}),
    (Phase.UNLOADING, UnloadFailed): frozenset({Phase.LEAVING, Phase.STUCK}),
    (Phase.STUCK, LoadOrdered): frozenset({Phase.LEAVING}),
    (Phase.STUCK, UnloadOrdered): frozenset({Phase.LEAVING}),
    (Phase.STUCK, SessionOpened): frozenset({Phase.LEAVING}),
    (Phase.STUCK, ServerDown): frozenset({Phase.LEAVING}),
    (Phase.STUCK, ServerReady): frozenset({Phase.LEAVING}),  # a stray: nobody else would ask again
}

# Memory is spoken for.
IN_MEMORY = frozenset({Phase.LOADING, Phase.LOADED, Phase.LEAVING, Phase.UNLOADING, Phase.STUCK})
# On the way out: `Entry.then` says what follows.
GOING = frozenset({Phase.CANCELLING, Phase.LEAVING, Phase.UNLOADING})
