"""What a command is about: `model iris`, `model/iris`, `models/iris`."""

from modelyard.kit.errors import InvalidInput
from modelyard.wire.manifest_problems import did_you_mean

KINDS = {"model": "model", "models": "model", "server": "server", "servers": "server"}


def subject_of(command: str, kind: str | None, name: str | None) -> tuple[str, str]:
    """The kind and the name. Raises `InvalidInput` with how to write it."""
    if kind and not name and "/" in kind:
        kind, name = kind.split("/", 1)
    if not kind or not name:
        raise InvalidInput(f"{command} needs a kind and a name: modelyard {command} model NAME")
    if kind.lower() not in KINDS:
        raise InvalidInput(f"there is no kind {kind!r}{did_you_mean(kind, ('model', 'server'))}")
    return KINDS[kind.lower()], name
