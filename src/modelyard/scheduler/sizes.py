"""What artifacts were measured to take in memory, and what their versions need because of it.

The declared size is the prior: once any version of an artifact has been measured, every version of it that is to be
loaded needs the figure measured last, per copy. A peer that keeps its own accounts goes by what is declared.
"""

import hashlib
from dataclasses import dataclass

from modelyard.domain.model import Artifact
from modelyard.kit.sizes import quantity

MOST_SIZES = 50_000  # the oldest are forgotten


def artifact_key(artifact: Artifact) -> str:
    """Tells artifacts apart without telling where they are: an address may hold a password, and outlives its model."""
    return hashlib.sha256(f"{artifact.uri}\n{artifact.version}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Size:
    """Of one version. `declared_bytes` None: not declared. `measured_bytes` None: never measured. Both per copy."""

    declared_bytes: int | None = None
    measured_bytes: int | None = None
    copies: int = 1

    def needed_bytes(self, *, as_declared: bool = False) -> int:
        """`as_declared`: on a replica whose peer keeps its own accounts."""
        known = self.measured_bytes is not None and not as_declared
        each = self.measured_bytes if known else self.declared_bytes
        return (each or 0) * self.copies

    def in_words(self, *, as_declared: bool = False) -> str:
        needed = quantity(self.needed_bytes(as_declared=as_declared))
        if self.measured_bytes is None or as_declared:
            return needed
        return f"{needed} (measured; {_declared(self.declared_bytes)})"


def measured_and_declared(measured_bytes: int, declared_bytes: int | None) -> str:
    return f"{quantity(measured_bytes)} measured, {_declared(declared_bytes)}"


def _declared(size_bytes: int | None) -> str:
    return f"{'none' if size_bytes is None else quantity(size_bytes)} declared"
