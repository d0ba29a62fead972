"""Credentials out of what people read: logs, answers, sentences. What is used to connect never passes through here."""

import re
from collections.abc import Iterable

HIDDEN = "***"
_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_VALUE = re.compile(r"(?<=[?&;])([^=&#;\s]*)=[^&#;\s]*")
_CONNECTION = re.compile(r"(:?[A-Za-z0-9_-]+,).*", re.DOTALL)  # rclone's `s3,secret_access_key=…:bucket/path`
_SHORTEST = 4  # shorter values would hide half of every sentence


def uri(text: str) -> str:
    """`https://user:password@host/model?sig=x` becomes `https://***@host/model?sig=***`: which values of a query are
    secrets is not to be told from their names, so all are hidden."""
    if found := _CONNECTION.fullmatch(text):
        return found[1] + HIDDEN
    head, mark, query = text.partition("?")
    return _USER.sub(f"{HIDDEN}@", head) + mark + (_VALUE.sub(rf"\1={HIDDEN}", mark + query)[1:] if mark else "")


def values(text: str, secrets: Iterable[str]) -> str:
    """The text with each of the secrets hidden, wherever it stands."""
    for secret in sorted((it for it in secrets if len(it) >= _SHORTEST), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
