"""Modelyard: many models, few servers."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.client.aio import AsyncClient
    from modelyard.client.blocking import Client
    from modelyard.kit.errors import ModelyardError

__all__ = ["AsyncClient", "Client", "ModelyardError", "__version__"]

__version__ = version("modelyard")

# Imported when first asked for: gRPC and its friends take a fifth of a second that most parts can do without.
_HOMES = {
    "AsyncClient": "modelyard.client.aio",
    "Client": "modelyard.client.blocking",
    "ModelyardError": "modelyard.kit.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'modelyard' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
