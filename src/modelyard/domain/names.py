"""Names: what models and servers may be called, and what a model version and a replica are called inside."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_INTERNAL = re.compile(r"(?P<name>[a-z0-9]([-a-z0-9]*[a-z0-9])?)_(?P<version>[1-9][0-9]*)")
MAX_NAME_LENGTH = 63


def name_problem(name: str) -> str | None:
    """Why this cannot name a model or a server; None where it can.

    A lower-case DNS label, as in the reference: the name becomes a part of host names, paths and headers.
    """
    if not name:
        return "a name is needed"
    if len(name) > MAX_NAME_LENGTH:
        return f"the name {name[:20]!r}… has {len(name)} characters; at most {MAX_NAME_LENGTH} are allowed"
    if not _NAME.fullmatch(name):
        return (
            f"{name!r} is not a valid name: use lower-case letters, digits and '-', "
            "beginning and ending with a letter or digit"
        )
    return None


@dataclass(frozen=True, slots=True, order=True)
class VersionId:
    """One version of one model."""

    model: str
    version: int

    def __str__(self) -> str:
        """The name under which a server loads it, e.g. `iris_2`."""
        return f"{self.model}_{self.version}"

    @classmethod
    def parse(cls, internal: str) -> "VersionId | None":
        """From `iris_2`; None where that is not such a name."""
        found = _INTERNAL.fullmatch(internal)
        return cls(found["name"], int(found["version"])) if found else None


@dataclass(frozen=True, slots=True, order=True)
class ReplicaId:
    """One replica of one server."""

    server: str
    index: int

    def __str__(self) -> str:
        return f"{self.server}/{self.index}"
