"""Credentials out of what people read: logs, answers, sentences. What is used to connect never passes through here."""

import re
from collections.abc import Iterable

HIDDEN = "***"
# The second form: a password with an unescaped / in it, which a port number is not.
_USER = re.compile(r"(?<=://)(?:[^/?#\s]*@|[^/@:?#\s]+:(?!\d+(?:/|$))[^?#\s]*@)")
_REMOTE_USER = re.compile(r"(?<=^)([A-Za-z0-9_-]+:)(?!//)[^/?#\s]*:[^/?#\s]*@")  # remote:user:password@bucket/path
_CONNECTION = re.compile(r"(:?[A-Za-z0-9_-]+,).*", re.DOTALL)  # rclone's `s3,secret_access_key=…:bucket/path`
_SHORTEST = 4  # shorter values would hide half of every sentence


def uri(text: str) -> str:
    """`https://user:password@host/model?sig=x` becomes `https://***@host/model?sig=***`: which values of a query are
    secrets is not to be told from their names, so all are hidden."""
    if found := _CONNECTION.fullmatch(text):
        return found[1] + HIDDEN
    head, mark, query = text.partition("?")
    head = _REMOTE_USER.sub(rf"\1{HIDDEN}@", _USER.sub(f"{HIDDEN}@", head))
    query, fragment, rest = query.partition("#")
    return head + mark + "".join(map(_hidden, re.split("([&;])", query))) + fragment + rest


def _hidden(item: str) -> str:
    name, equals, _ = item.partition("=")
    return f"{name}={HIDDEN}" if equals else HIDDEN if item not in ("", "&", ";") else item


def values(text: str, secrets: Iterable[str]) -> str:
    """The text with each of the secrets hidden, wherever it stands."""
    for secret in sorted((it for it in secrets if len(it) >= _SHORTEST), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
