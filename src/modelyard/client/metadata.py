"""A model's metadata from the JSON of its server, whoever made that."""

from collections.abc import Mapping
from typing import Any

import orjson

from modelyard.kit.errors import ModelyardError
from modelyard.wire.oip.nouns import ModelMetadata, TensorMetadata


def metadata_from(content: bytes) -> ModelMetadata:
    try:
        message = orjson.loads(content)
        return ModelMetadata(
            name=message.get("name", ""),
            versions=tuple(message.get("versions") or ()),
            platform=message.get("platform", ""),
            inputs=tuple(_tensor(it) for it in message.get("inputs") or ()),
            outputs=tuple(_tensor(it) for it in message.get("outputs") or ()),
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelyardError(f"the server's metadata cannot be read: {error!r}") from None


def _tensor(message: Mapping[str, Any]) -> TensorMetadata:
    return TensorMetadata(message["name"], message["datatype"], tuple(int(size) for size in message.get("shape") or ()))
