"""Who this server is: its name, version and the id of this start."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path

import modelyard
from modelyard.wire.oip.extensions import GRPC_OVER_HTTP1, INSTANCE, UNIX_SOCKET
from modelyard.wire.oip.nouns import ServerMetadata


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Identity:
    """`instance` changes with every start, so that an agent notices a restart. `unix_socket`: where it is heard too."""

    unix_socket: Path | None = None
    instance: str = field(default_factory=_new_id)

    def metadata(self) -> ServerMetadata:
        extensions = ["binary_tensor_data", "model_repository", f"{INSTANCE}{self.instance}"]
        extensions.append(GRPC_OVER_HTTP1)
        if self.unix_socket is not None:
            extensions.append(f"{UNIX_SOCKET}{self.unix_socket}")
        return ServerMetadata("modelyard", modelyard.__version__, tuple(extensions))
