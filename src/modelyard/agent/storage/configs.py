"""An rclone configuration as text: JSON or YAML `{type, name, parameters: {…}}`, or a Kubernetes Secret holding it."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from modelyard.agent.problems import ArtifactProblem


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """`name`: the remote that uris begin with; may be empty. `where` names the secret in sentences."""

    where: str
    type: str
    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def parse(text: str, where: str) -> RemoteConfig:
    """Raises `ArtifactProblem`, without quoting what was given: it may be a credential."""
    given = _load(text, where)
    if given.get("kind") == "Secret":
        given = _load(_only_value(given, where), where)
    kind, name, parameters = given.get("type"), given.get("name", ""), given.get("parameters", {})
    if not isinstance(kind, str) or not kind:
        raise ArtifactProblem(f"{where} has no `type`, such as s3: it should be {{type, name, parameters: {{…}}}}")
    if not isinstance(name, str) or not isinstance(parameters, Mapping | None):
        raise ArtifactProblem(f"{where}: `name` must be text and `parameters` a mapping")
    if more := sorted(str(key) for key in given.keys() - {"type", "name", "parameters"}):
        raise ArtifactProblem(f"{where} has {more[0]!r} beside type, name and parameters: put it under `parameters`")
    values: dict[str, str] = {}
    for key, value in (parameters or {}).items():
        if isinstance(value, Mapping | list):
            raise ArtifactProblem(f"{where}: the parameter {key!r} must be one value")
        if value is not None:
            values[str(key)] = str(value).lower() if isinstance(value, bool) else str(value)
    return RemoteConfig(where, kind.lower(), name, values)


def _load(text: str, where: str) -> Mapping[str, Any]:
    try:
        given = yaml.safe_load(text)  # JSON is YAML too
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise ArtifactProblem(f"{where} is neither JSON nor YAML: it cannot be read{line}") from None
    if not isinstance(given, Mapping):
        raise ArtifactProblem(f"{where} is not a mapping {{type, name, parameters: {{…}}}}")
    return given


def _only_value(secret: Mapping[str, Any], where: str) -> str:
    plain = secret.get("stringData") or {}
    encoded = secret.get("data") or {}
    if not isinstance(plain, Mapping) or not isinstance(encoded, Mapping) or len(plain) + len(encoded) != 1:
        raise ArtifactProblem(f"{where} must hold exactly one key with an rclone configuration")
    for value in plain.values():
        return str(value)
    try:
        return base64.b64decode(str(next(iter(encoded.values()))), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ArtifactProblem(f"{where}: its `data` is not base64 of text") from None
