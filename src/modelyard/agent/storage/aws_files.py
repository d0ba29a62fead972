"""Keys from `~/.aws/credentials` and `~/.aws/config`, which obstore does not read; the environment's own go first."""

import configparser
import os
from pathlib import Path

from modelyard.agent.storage.access import Keys

# Any of these means that obstore finds credentials by itself, or is to do without.
_BETTER = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)


def credentials() -> tuple[Keys, str] | None:
    """The profile's keys, and its region or an empty string; None where there are none to be used."""
    if any(os.environ.get(name) for name in _BETTER):
        return None
    profile = os.environ.get("AWS_PROFILE") or "default"
    home = Path.home() / ".aws"
    keys = _section(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials", profile)
    id_, secret = keys.get("aws_access_key_id"), keys.get("aws_secret_access_key")
    if not id_ or not secret:
        return None
    named = profile if profile == "default" else f"profile {profile}"
    config = _section(os.environ.get("AWS_CONFIG_FILE") or home / "config", named)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or config.get("region", "")
    return Keys(id_, secret, keys.get("aws_session_token")), "" if os.environ.get("AWS_REGION") else region


def _section(path: str | Path, name: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
        return dict(parser[name]) if name in parser else {}
    except (configparser.Error, UnicodeDecodeError, OSError):
        return {}
