"""Triton. It reads `config.pbtxt`, wants versions in numbered folders, and unloads after it has said that it did."""

import asyncio
import time
from pathlib import Path
from typing import ClassVar

import httpx

from modelyard.agent import trees
from modelyard.agent.problems import ArtifactProblem, ServerRefusal
from modelyard.agent.servers import sentences
from modelyard.agent.servers import triton_config as config_file
from modelyard.agent.servers.v2 import V2Server
from modelyard.domain.agent_protocol import ModelVersion

POLL_SECONDS = 0.1


class Triton(V2Server):
    """Started with `--model-control-mode=explicit`."""

    picks_folder: ClassVar[bool] = True
    health: ClassVar[str] = "/v2/health/live"  # `ready` may be false for one model that failed

    def arrange(self, model_version: ModelVersion, source: Path, target: Path) -> None:
        spec, name = model_version.model.spec, str(model_version.id)
        layout, config = _chosen(model_version, source)
        try:
            if config is None:
                config = config_file.minimal(name, spec.requirements, [it for _, it in layout.links])
            else:
                config = config_file.rewritten(config, name)
        except ValueError as error:
            raise ArtifactProblem(f"cannot use {spec.artifact.uri}: {error}") from error
        (target / config_file.VERSION).mkdir(parents=True)  # an ensemble has nothing to put there
        for path, to in layout.links:
            trees.link_file(source / path, target / to)
        (target / config_file.FILE).write_text(config)

    def copies(self, model_version: ModelVersion, source: Path) -> int | None:
        config = _chosen(model_version, source)[1]
        try:
            return None if config is None else config_file.cpu_instances(config)
        except ValueError as error:
            uri = model_version.model.spec.artifact.uri
            raise ArtifactProblem(f"cannot use {uri}: {error}") from error

    async def unload(self, name: str) -> None:
        """Returns once it is out of memory."""
        seconds = self._limits.unload_seconds
        deadline = time.monotonic() + seconds
        answer = await self._ask("POST", f"/v2/repository/models/{name}/unload", seconds, {})
        while (state := (await self.states()).get(name)) not in (None, "UNAVAILABLE"):
            if answer.status_code != httpx.codes.OK and state == "READY":
                raise ServerRefusal(f"the inference server cannot unload it: {self.sentence(answer)}")
            if time.monotonic() > deadline:
                raise ServerRefusal(f"the inference server did not unload it within {seconds:g} s")
            await asyncio.sleep(POLL_SECONDS)

    def sentence(self, answer: httpx.Response) -> str:
        return sentences.reason(super().sentence(answer))


def _chosen(model_version: ModelVersion, source: Path) -> tuple[config_file.Layout, str | None]:
    """How its files will lie, and its config where it has one. Raises `ArtifactProblem`, OSError."""
    artifact = model_version.model.spec.artifact
    paths = [path.relative_to(source).as_posix() for path in trees.files(source)]
    try:
        layout = config_file.layout(paths, artifact.version)
        return layout, None if layout.config is None else (source / layout.config).read_text()
    except LookupError as error:
        raise ArtifactProblem(f"cannot use {artifact.uri}: {error.args[0]}") from error
    except UnicodeDecodeError as error:
        raise ArtifactProblem(f"cannot use {artifact.uri}: {config_file.FILE} is not text") from error
