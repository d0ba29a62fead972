"""Checked manifests to the domain, with notes on what has no effect, and what only all fields together tell."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from modelyard.domain.model import DEFAULT_REPLICAS, Model, Replicas
from modelyard.domain.names import name_problem
from modelyard.domain.server import ServerManifest
from modelyard.domain.server_configs import MODELYARD, SERVER_CONFIGS
from modelyard.kit.errors import InvalidInput
from modelyard.wire import manifest_schema as schema
from modelyard.wire._pb2.seldon.mlops.scheduler import scheduler_pb2 as pb
from modelyard.wire.documents import Path
from modelyard.wire.manifest_problems import did_you_mean
from modelyard.wire.models import decode_model
from modelyard.wire.no_effect import NOT_YET, without_effect
from modelyard.wire.quantities import parse_bytes

Problems: TypeAlias = list[tuple[Path, str]]
_SIDECARS = ("agent", "rclone")
_OVERCOMMIT_VARIABLE = "SELDON_OVERCOMMIT_PERCENTAGE"
_MODEL_FIELDS_NOT_SENT = ("preloaded", "dedicated", "schemaUri")
_SERVER_FIELDS_CARRIED_APART = {
    "replicas",
    "minReplicas",
    "maxReplicas",
    "serverConfig",
    "capabilities",
    "extraCapabilities",
}
_SERVER_FIELDS_NOT_USED = (
    "imageOverrides",
    "statefulSetPersistentVolumeClaimRetentionPolicy",
    "deploymentStrategy",
    "disableAutoUpdate",
)


@dataclass(frozen=True, slots=True)
class Noted:
    item: Model | ServerManifest
    notes: tuple[str, ...]


def model_from(manifest: schema.ModelManifest) -> tuple[Noted, Problems]:
    """The model and whatever is wrong with it."""
    spec, name = manifest.spec, manifest.metadata.name
    problems = _name_problems(name)
    replicas = replicas_from(spec.replicas, spec.minReplicas, spec.maxReplicas)
    if problem := replicas.problem():
        problems.append((("spec",), problem))
    if spec.explainer and spec.llm:
        problems.append((("spec",), "explainer and llm cannot both be set"))
    if spec.server is not None and (problem := name_problem(spec.server)):
        problems.append((("spec", "server"), problem))
    model = decode_model(_message(manifest), replicas)
    unsent = tuple(f"spec.{it} {NOT_YET}" for it in _MODEL_FIELDS_NOT_SENT if getattr(spec, it))
    return Noted(model, (*without_effect(model), *unsent)), problems


def replicas_from(wanted: int | None, minimum: int | None, maximum: int | None) -> Replicas:
    """Where only a minimum is given, it is also how many are wanted."""
    return Replicas(wanted if wanted is not None else minimum or DEFAULT_REPLICAS, minimum, maximum)


def _name_problems(name: str) -> Problems:
    problem = name_problem(name)
    return [(("metadata", "name"), problem)] if problem else []


def _message(manifest: schema.ModelManifest) -> pb.Model:
    spec, metadata = manifest.spec, manifest.metadata
    message = pb.Model(meta=pb.MetaData(name=metadata.name))
    if metadata.namespace or metadata.generation:
        message.meta.kubernetesMeta.namespace = metadata.namespace or ""
        message.meta.kubernetesMeta.generation = metadata.generation or 0
    wire = message.modelSpec
    wire.uri = spec.storageUri
    wire.requirements.extend(spec.requirements or [])
    if spec.modelType:
        wire.requirements.append(spec.modelType)
    if spec.artifactVersion is not None:
        wire.artifactVersion = spec.artifactVersion
    if spec.secretName:
        wire.storageConfig.storageSecretName = spec.secretName
    if spec.memory is not None:
        wire.memoryBytes = spec.memory
    if spec.server:
        wire.server = spec.server
    wire.parameters.extend(pb.ParameterSpec(name=it.name, value=it.value) for it in spec.parameters or [])
    if spec.explainer:
        wire.explainer.CopyFrom(pb.ExplainerSpec(**spec.explainer.model_dump(exclude_none=True)))
    elif spec.llm:
        wire.llm.CopyFrom(pb.LlmSpec(**spec.llm.model_dump(exclude_none=True)))
    if spec.logger:
        message.deploymentSpec.logPayloads = True  # its percentage is not carried by the protocol
    if spec.dataflow and spec.dataflow.cleanTopicsOnDelete:
        message.dataflowSpec.cleanTopicsOnDelete = True
    return message


def server_from(manifest: schema.ServerManifest) -> tuple[Noted, Problems]:
    """The server and whatever is wrong with it. No replicas at all (`replicas: 0`) is fine for a server."""
    spec = manifest.spec
    problems = _name_problems(manifest.metadata.name)
    replicas = replicas_from(spec.replicas, spec.minReplicas, spec.maxReplicas)
    if (replicas.wanted or replicas.minimum) and (problem := replicas.problem()):
        problems.append((("spec",), problem))
    if spec.serverConfig and spec.serverConfig not in SERVER_CONFIGS:
        hint = did_you_mean(spec.serverConfig, SERVER_CONFIGS)
        problems.append((("spec", "serverConfig"), f"there is no server config {spec.serverConfig!r}{hint}"))
    pod = spec.podSpec or {}
    rest = spec.model_dump(exclude_none=True, exclude=_SERVER_FIELDS_CARRIED_APART)
    server = ServerManifest(
        name=manifest.metadata.name,
        replicas=replicas,
        server_config=spec.serverConfig or MODELYARD,
        capabilities=tuple(spec.capabilities or ()),
        extra_capabilities=tuple(spec.extraCapabilities or ()),
        memory_bytes=_pod_memory(pod, problems),
        overcommit_percent=_pod_overcommit(pod, problems),
        rest_json=json.dumps(rest, sort_keys=True) if rest else "",
    )
    notes = [f"spec.{it} {NOT_YET}" for it in _SERVER_FIELDS_NOT_USED if getattr(spec, it) is not None]
    if pod:
        notes.append("of spec.podSpec only the server's memory request and its over-commit have an effect")
    if replicas.maximum is not None:
        notes.append(f"spec.maxReplicas {NOT_YET}")
    return Noted(server, tuple(notes)), problems


def _containers(pod: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    containers = pod.get("containers")
    if not isinstance(containers, list):
        return []
    return [(index, it) for index, it in enumerate(containers) if isinstance(it, dict)]


def _pod_memory(pod: Mapping[str, Any], problems: Problems) -> int | None:
    """The memory request of the inference server's container, which is what the reference gives its agent."""
    for index, container in _containers(pod):
        resources = container.get("resources")
        if container.get("name") in _SIDECARS or not isinstance(resources, dict):
            continue
        for section in ("requests", "limits"):
            amounts = resources.get(section)
            if isinstance(amounts, dict) and (amount := amounts.get("memory")) is not None:
                try:
                    return parse_bytes(amount)
                except InvalidInput as error:
                    path = ("spec", "podSpec", "containers", index, "resources", section, "memory")
                    problems.append((path, str(error)))
                    return None
    return None


def _pod_overcommit(pod: Mapping[str, Any], problems: Problems) -> int | None:
    for index, container in _containers(pod):
        variables = container.get("env")
        for position, variable in enumerate(variables if isinstance(variables, list) else []):
            if isinstance(variable, dict) and variable.get("name") == _OVERCOMMIT_VARIABLE:
                value = str(variable.get("value", ""))
                if value.isascii() and value.isdigit() and int(value) <= 1000:
                    return int(value)
                path = ("spec", "podSpec", "containers", index, "env", position, "value")
                problems.append((path, f"{value!r} is not a percentage from 0 to 1000"))
    return None
