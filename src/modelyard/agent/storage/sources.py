"""From a model's uri and its storage settings to the source of its files."""

from pathlib import Path

import httpx

from modelyard.agent.settings import Limits
from modelyard.agent.storage import access, configs
from modelyard.agent.storage.buckets import Bucket
from modelyard.agent.storage.configs import RemoteConfig
from modelyard.agent.storage.remote import Source
from modelyard.agent.storage.secrets import Secrets
from modelyard.agent.storage.uris import Objects, WebFile
from modelyard.agent.storage.website import Website
from modelyard.domain.model import Artifact
from modelyard.wire import models


class Sources:
    def __init__(self, http: httpx.AsyncClient, secrets: Path, limits: Limits) -> None:
        self._http, self._secrets, self._limits = http, Secrets(secrets), limits

    def open(self, place: WebFile | Objects, artifact: Artifact) -> Source:
        """Raises `ArtifactProblem`. Reads the secret, a small file."""
        if isinstance(place, WebFile):
            return Website(self._http, place, self._limits)
        config = self._config(place, artifact)
        right = access.without_secret(place) if config is None else access.with_secret(config, place)
        return Bucket(place, right, self._limits)

    def _config(self, place: Objects, artifact: Artifact) -> RemoteConfig | None:
        secret, inline = models.decode_storage(artifact)
        if inline:
            return configs.parse(inline, "the model's storageRcloneConfig")
        if secret:
            return self._secrets.find(secret)
        return self._secrets.named(place.remote)
