"""The versions on a replica, each in its phase, with their bytes in the ledger: the agent's state, kept consistent."""

from dataclasses import dataclass

from modelyard.agent.ledger import Ledger
from modelyard.agent.phases import GOING, IN_MEMORY, TRANSITIONS, Phase
from modelyard.domain.agent_protocol import ModelVersion
from modelyard.domain.names import VersionId


@dataclass(slots=True)
class Entry:
    """One version assigned to this replica, or on its way out.

    `leave`: to be unloaded when the load under way has ended. `then`: what to load after it has left.
    `stray`: found here, ordered by nobody (or refused by us), so nobody is told of its end. `copies`: how many times
    the server holds it, where its files say so.
    """

    model_version: ModelVersion
    phase: Phase
    changed_at: float
    artifact: str | None = None
    leave: bool = False
    then: ModelVersion | None = None
    stray: bool = False
    attempts: int = 0
    load_ms: int | None = None
    copies: int | None = None
    measured_bytes: int | None = None
    note: str = ""


class Assignments:
    """`queue`: waiting and leaving versions, oldest first. `settled`: nothing changed since it was last gone through.

    `changed`: versions that nobody has been told of since. `parted`: what left before its measured size was told.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.entries: dict[VersionId, Entry] = {}
        self.queue: dict[VersionId, None] = {}
        self.settled = True
        self.changed: set[VersionId] = set()
        self.parted: dict[VersionId, int] = {}
        self._ledger = ledger

    def enter(self, model_version: ModelVersion, phase: Phase, cause: type, need_bytes: int, now: float) -> Entry:
        assert phase in TRANSITIONS[None, cause]
        version = model_version.id
        entry = self.entries[version] = Entry(model_version, phase, now)
        self._ledger.open(version, need_bytes)
        self._placed(entry)
        return entry

    def move(self, entry: Entry, phase: Phase, cause: type, now: float) -> None:
        assert phase in TRANSITIONS[entry.phase, cause], f"{entry.phase} to {phase} by {cause.__name__}"
        entry.phase, entry.leave, entry.changed_at = phase, False, now
        self._placed(entry)

    def exit(self, entry: Entry, cause: type) -> None:
        assert None in TRANSITIONS[entry.phase, cause]
        version = entry.model_version.id
        del self.entries[version]
        self.queue.pop(version, None)
        if version in self.changed and entry.measured_bytes is not None:
            self.parted[version] = entry.measured_bytes
        self.changed.discard(version)
        self._ledger.close(version)
        self.settled = False

    def need(self, entry: Entry, need_bytes: int) -> None:
        """More is known of what it declares."""
        self._ledger.declare(entry.model_version.id, need_bytes)
        self.settled = False

    def account(self, entry: Entry) -> None:
        """Its phase, or whether it is to leave, changed: so did where its bytes are."""
        leaving = entry.leave or entry.phase in GOING
        self._ledger.move(entry.model_version.id, in_memory=entry.phase in IN_MEMORY, leaving=leaving)
        self.settled = False

    def measure(self, entry: Entry, measured_bytes: int) -> None:
        entry.measured_bytes = measured_bytes
        self._ledger.measure(entry.model_version.id, measured_bytes)
        self.changed.add(entry.model_version.id)
        self.settled = False

    def _placed(self, entry: Entry) -> None:
        version = entry.model_version.id
        if entry.phase in (Phase.WAITING, Phase.LEAVING):
            self.queue[version] = None
        else:
            self.queue.pop(version, None)
        self.account(entry)
        self.changed.add(version)
