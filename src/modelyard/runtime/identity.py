"""Who this server is: its name, version and the id of this start."""

import uuid
from dataclasses import dataclass, field

import modelyard
from modelyard.wire.oip.nouns import ServerMetadata


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Identity:
    """`instance` changes with every start, so that an agent notices a restart."""

    instance: str = field(default_factory=_new_id)

    def metadata(self) -> ServerMetadata:
        extensions = ("binary_tensor_data", "model_repository", f"modelyard-instance:{self.instance}")
        return ServerMetadata("modelyard", modelyard.__version__, extensions)
