"""What the agent is told (events: facts, in the past tense) and what it orders (effects). Read this page first.

    scheduler ──LoadOrdered, UnloadOrdered──▶ ┌───────┐ ──Subscribe, Tell──────────────▶ scheduler
    artifacts ──Fetched, FetchFailed────────▶ │ Agent │ ──Fetch, CancelFetch───────────▶ artifacts
    server ─────Loaded, Unloaded, ServerReady▶│       │ ──Load, Unload, CheckServer────▶ inference server
                Measured────────────────────▶ │       │
    disk ───────Restored────────────────────▶ └───────┘ ──Save, Forget─────────────────▶ disk

Effects are performed in order. `Fetch`, `Load` and `Unload` are started in order and end, later, in exactly one event
about their version; a version has at most one of them under way. `Save` and `Forget` are done before the next effect
starts: what the scheduler hears is already on, or off, the disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from modelyard.domain.agent_protocol import ModelEvent, ModelVersion, Subscription
from modelyard.domain.names import VersionId

# Events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """An assignment found on disk. `artifact`: the cached files' key, where they are still there. `measured_bytes`:
    what it took in memory when that was last looked at; None: never measured. `copies`: as in `Fetched`."""

    model_version: ModelVersion
    artifact: str | None = None
    measured_bytes: int | None = None
    copies: int | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """The agent started and read its disk: once, before anything else.

    `strays`: version folders in the server's repository that no state file knows. `damaged`: assignments may be
    missing, so the scheduler is asked for all of them.
    """

    kept: tuple[Kept, ...] = ()
    strays: tuple[VersionId, ...] = ()
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class ServerReady:
    """The inference server answers; `models` are the names loaded in it, as asked for at `asked_at`.

    What changed at or after `asked_at` is better known to the agent than to this answer. May come at any time, as
    often as one likes; after a restart of the server a `ServerDown` comes first.
    """

    models: frozenset[str]
    asked_at: float


@dataclass(frozen=True, slots=True)
class ServerDown:
    """The inference server stopped answering, or was restarted."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What the inference server says of a model that it holds. `memory_bytes` None: it did not measure it.
    `note`: what its user should know, one sentence; empty where there is nothing to say."""

    memory_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the server says of the versions that it holds, as asked for at `asked_at`. May come at any time.

    Of a version that changed at or after `asked_at` the answer may mean what was there before, and says nothing.
    """

    figures: Mapping[VersionId, Figure]
    asked_at: float


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A Subscribe stream to the scheduler can be opened, under a new session id."""

    session: str


@dataclass(frozen=True, slots=True)
class SessionLost:
    session: str


@dataclass(frozen=True, slots=True)
class LoadOrdered:
    session: str
    model_version: ModelVersion
    autoscaling: bool = False


@dataclass(frozen=True, slots=True)
class UnloadOrdered:
    session: str
    version: VersionId


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files are in the cache under the key `artifact`. `copies`: how many times the server will hold the model, by
    these files; None: they say nothing of it."""

    version: VersionId
    artifact: str
    copies: int | None = None


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """Also the end of a fetch that was called off."""

    version: VersionId
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """`figure`: what the server says of it right away; empty where it does not."""

    version: VersionId
    load_ms: int | None = None
    figure: Figure = Figure()


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """`lost`: the connection broke, so nobody knows what the server did; else nothing is left of the load."""

    version: VersionId
    reason: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Unloaded:
    """Out of the server's memory, and its folder out of the repository."""

    version: VersionId


@dataclass(frozen=True, slots=True)
class UnloadFailed:
    version: VersionId
    reason: str
    lost: bool = False


VersionEvent: TypeAlias = (
    LoadOrdered | UnloadOrdered | Fetched | FetchFailed | Loaded | LoadFailed | Unloaded | UnloadFailed
)
Event: TypeAlias = Restored | ServerReady | ServerDown | Measured | SessionOpened | SessionLost | VersionEvent

# Effects --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Open the stream with this; its operations come back as `LoadOrdered` and `UnloadOrdered`."""

    session: str
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Tell:
    """Send to the scheduler, in order, for as long as the session lives. Lost with it: the next one tells all."""

    session: str
    event: ModelEvent


@dataclass(frozen=True, slots=True)
class Save:
    """Write the assignment to disk."""

    model_version: ModelVersion
    artifact: str | None = None
    measured_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """The assignment is over: off the disk with its state, its folder in the server's repository, and its cached
    files unless another version uses them."""

    version: VersionId


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ends in `Fetched` or `FetchFailed`."""

    model_version: ModelVersion


@dataclass(frozen=True, slots=True)
class CancelFetch:
    """Hurry the fetch to its end, whichever that is."""

    version: VersionId


@dataclass(frozen=True, slots=True)
class Load:
    """Put the files into the server's repository, then load. Ends in `Loaded` or `LoadFailed`."""

    model_version: ModelVersion
    artifact: str


@dataclass(frozen=True, slots=True)
class Unload:
    """Unload (not being loaded is fine), then remove the folder. Ends in `Unloaded` or `UnloadFailed`."""

    version: VersionId


@dataclass(frozen=True, slots=True)
class CheckServer:
    """Look at the server now. Ends in `ServerReady` or `ServerDown`, then, as always, in `ServerReady` one day."""


Effect: TypeAlias = Subscribe | Tell | Save | Forget | Fetch | CancelFetch | Load | Unload | CheckServer
