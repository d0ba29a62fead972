"""Who has which bytes of one inference server's memory. Totals are kept, not recomputed.

assigned   everything the scheduler gave us, wherever it is on its way in or out
in memory  loading, loaded, or unloading: spoken for until really given back (invariant S1)
leaving    the part of either that is on its way out
"""

from dataclasses import dataclass, replace

from modelyard.domain.names import VersionId


@dataclass(frozen=True, slots=True)
class Account:
    """One version's bytes: as declared until they are measured."""

    declared_bytes: int
    measured_bytes: int | None = None
    in_memory: bool = False
    leaving: bool = False

    @property
    def accounted_bytes(self) -> int:
        return self.declared_bytes if self.measured_bytes is None else self.measured_bytes


class Ledger:
    def __init__(self, memory_bytes: int, overcommit_percent: int = 0) -> None:
        self.memory_bytes = memory_bytes
        self.assignable_bytes = memory_bytes * (100 + overcommit_percent) // 100
        self.assigned_bytes = 0
        self.in_memory_bytes = 0
        self.assigned_leaving_bytes = 0
        self.in_memory_leaving_bytes = 0
        self._accounts: dict[VersionId, Account] = {}

    @property
    def available_bytes(self) -> int:
        """What may still be assigned."""
        return max(0, self.assignable_bytes - self.assigned_bytes)

    def accounted_bytes(self, version: VersionId) -> int:
        return self._accounts[version].accounted_bytes

    def open(self, version: VersionId, declared_bytes: int) -> None:
        assert version not in self._accounts
        self._accounts[version] = Account(declared_bytes)
        self._count(self._accounts[version], +1)

    def close(self, version: VersionId) -> None:
        self._count(self._accounts.pop(version), -1)

    def move(self, version: VersionId, *, in_memory: bool, leaving: bool) -> None:
        self._change(version, replace(self._accounts[version], in_memory=in_memory, leaving=leaving))

    def declare(self, version: VersionId, declared_bytes: int) -> None:
        """More is known of what it declares, or it was ordered again with another size."""
        self._change(version, replace(self._accounts[version], declared_bytes=declared_bytes))

    def measure(self, version: VersionId, measured_bytes: int) -> None:
        """What it really takes counts from now on: the memory may turn out to be overfull, and then nothing fits."""
        self._change(version, replace(self._accounts[version], measured_bytes=measured_bytes))

    def assignable(self, size_bytes: int) -> bool:
        """Whether one more fits beside all that stay, and by itself into physical memory (S9)."""
        staying = self.assigned_bytes - self.assigned_leaving_bytes
        return size_bytes <= self.memory_bytes and staying + size_bytes <= self.assignable_bytes

    def fits(self, version: VersionId) -> bool:
        """Whether it may be loaded now (S1)."""
        return self.in_memory_bytes + self.accounted_bytes(version) <= self.memory_bytes

    def will_fit(self, version: VersionId) -> bool:
        """Whether it may be loaded once what is leaving has left."""
        staying = self.in_memory_bytes - self.in_memory_leaving_bytes
        return staying + self.accounted_bytes(version) <= self.memory_bytes

    def too_large(self, version: VersionId) -> bool:
        """Whether it does not fit into physical memory even by itself (S9)."""
        return self.accounted_bytes(version) > self.memory_bytes

    def _change(self, version: VersionId, after: Account) -> None:
        self._count(self._accounts[version], -1)
        self._count(after, +1)
        self._accounts[version] = after

    def _count(self, account: Account, sign: int) -> None:
        size = sign * account.accounted_bytes
        self.assigned_bytes += size
        self.assigned_leaving_bytes += size if account.leaving else 0
        if account.in_memory:
            self.in_memory_bytes += size
            self.in_memory_leaving_bytes += size if account.leaving else 0
