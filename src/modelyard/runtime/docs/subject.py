"""The model that is documented, and where whoever asked for it found it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from modelyard.runtime.model import Signature
from modelyard.wire.oip.example import Values
from modelyard.wire.oip.headers import MODEL


@dataclass(frozen=True, slots=True)
class Subject:
    """`name`: as the client calls the model. `origin`: scheme and address that the client used. `note`: what the
    server says of the model, one sentence; empty where it has nothing to say. `example`: of its inputs."""

    name: str
    origin: str
    version: str
    signature: Signature
    note: str = ""
    example: Values = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/v2/models/{quote(self.name, safe='')}"

    @property
    def url(self) -> str:
        return f"{self.origin}{self.path}"


def called(name: str, headers: Mapping[str, str]) -> str:
    """The name by which the client reaches the model: the one in its path, unless it named another in the header."""
    return headers.get(MODEL) or name


def origin(headers: Mapping[str, str], default: str) -> str:
    """Where the client's request went. A proxy says by which scheme; `default`: the address where it names none."""
    scheme = headers.get("x-forwarded-proto", "").lower()
    host = headers.get("host") or default
    return f"{scheme if scheme in ('http', 'https') else 'http'}://{host}"
