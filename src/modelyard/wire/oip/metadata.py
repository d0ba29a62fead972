"""Metadata and the repository index, as JSON objects and as gRPC messages."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from modelyard.wire.oip.nouns import IndexEntry, ModelMetadata, ServerMetadata, TensorMetadata

ServerLiveResponse: TypeAlias = pb.ServerLiveResponse
ServerReadyResponse: TypeAlias = pb.ServerReadyResponse
ModelReadyResponse: TypeAlias = pb.ModelReadyResponse
ServerMetadataResponse: TypeAlias = pb.ServerMetadataResponse
ModelMetadataResponse: TypeAlias = pb.ModelMetadataResponse
RepositoryIndexResponse: TypeAlias = pb.RepositoryIndexResponse
RepositoryModelLoadRequest: TypeAlias = pb.RepositoryModelLoadRequest
RepositoryModelLoadResponse: TypeAlias = pb.RepositoryModelLoadResponse
RepositoryModelUnloadResponse: TypeAlias = pb.RepositoryModelUnloadResponse


def server_to_json(it: ServerMetadata) -> dict[str, Any]:
    return {"name": it.name, "version": it.version, "extensions": list(it.extensions)}


def server_to_message(it: ServerMetadata) -> ServerMetadataResponse:
    return pb.ServerMetadataResponse(name=it.name, version=it.version, extensions=it.extensions)


def model_to_json(it: ModelMetadata) -> dict[str, Any]:
    return {
        "name": it.name,
        "versions": list(it.versions),
        "platform": it.platform,
        "inputs": [_tensor_to_json(tensor) for tensor in it.inputs],
        "outputs": [_tensor_to_json(tensor) for tensor in it.outputs],
    }


def _tensor_to_json(it: TensorMetadata) -> dict[str, Any]:
    return {"name": it.name, "datatype": it.datatype, "shape": list(it.shape)}


def model_to_message(it: ModelMetadata) -> ModelMetadataResponse:
    message = pb.ModelMetadataResponse(name=it.name, versions=it.versions, platform=it.platform)
    for tensor in it.inputs:
        message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    for tensor in it.outputs:
        message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    return message


def index_to_json(entries: Iterable[IndexEntry]) -> list[dict[str, str]]:
    return [{"name": it.name, "version": it.version, "state": it.state, "reason": it.reason} for it in entries]


def index_to_message(entries: Iterable[IndexEntry]) -> RepositoryIndexResponse:
    message = pb.RepositoryIndexResponse()
    for it in entries:
        message.models.add(name=it.name, version=it.version, state=it.state, reason=it.reason)
    return message
