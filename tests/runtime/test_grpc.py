"""The V2 protocol over gRPC, as a client sees it: by HTTP/2, and through an Envoy that makes HTTP/1.1 of it."""

import socket
import struct
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from modelyard.wire import service
from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from modelyard.wire.oip import grpc as codec
from modelyard.wire.oip.nouns import DTYPES, InferRequest, InferResponse, RequestedOutput, Tensor
from tests.runtime import envoy
from tests.runtime.artifacts import ROW
from tests.runtime.conftest import Runtime

TENSOR = Tensor("X", "FP32", np.array([ROW], dtype=DTYPES["FP32"]))


@pytest.fixture(scope="module", params=["by HTTP/2", "by HTTP/1.1"])
def address(
    request: pytest.FixtureRequest, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if request.param == "by HTTP/2":
        yield runtime.grpc
        return
    assert runtime.socket is not None
    with envoy.in_front_of(runtime.socket, tmp_path_factory.mktemp("envoy")) as at:
        yield at


@pytest.fixture
def stub(address: str) -> Iterator[service.Stub]:
    limits = [("grpc.max_receive_message_length", service.MAX_MESSAGE_BYTES)]
    with grpc.insecure_channel(address, options=limits) as channel:
        yield service.Stub(channel, service.INFERENCE)


def infer(stub: service.Stub, request: InferRequest, raw_contents: bool = True) -> InferResponse:
    return codec.decode_response(stub.ModelInfer(codec.encode_request(request, raw_contents=raw_contents), timeout=20))


def refusal(call, *arguments, **options) -> grpc.Call:
    with pytest.raises(grpc.RpcError) as refused:
        call(*arguments, timeout=20, **options)
    return refused.value


def test_the_server_and_its_models_describe_themselves(stub: service.Stub):
    assert stub.ServerLive(pb.ServerLiveRequest()).live
    assert stub.ServerReady(pb.ServerReadyRequest()).ready
    assert stub.ServerMetadata(pb.ServerMetadataRequest()).name == "modelyard"
    assert stub.ModelReady(pb.ModelReadyRequest(name="iris", version="1")).ready
    metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name="iris-onnx"))
    assert [(it.name, it.datatype, list(it.shape)) for it in metadata.inputs] == [("X", "FP32", [-1, 4])]
    assert list(metadata.versions) == ["1"]


@pytest.mark.parametrize("raw_contents", [True, False])
def test_an_answer_is_raw_or_typed_as_the_request_was(stub: service.Stub, raw_contents: bool):
    request = InferRequest((TENSOR,), model="iris-onnx", id="9")
    message = stub.ModelInfer(codec.encode_request(request, raw_contents=raw_contents))
    assert bool(message.raw_output_contents) == raw_contents
    answer = codec.decode_response(message)
    assert (answer.model, answer.version, answer.id) == ("iris-onnx", "1", "9")
    assert answer.outputs[0].data.tolist() == [0]


def test_outputs_are_answered_as_asked_for(stub: service.Stub):
    request = InferRequest((TENSOR,), (RequestedOutput("predict_proba"),), "iris")
    assert [(it.name, it.data.shape) for it in infer(stub, request).outputs] == [("predict_proba", (1, 3))]


def test_metadata_overrides_the_name_and_the_request_id_is_echoed(stub: service.Stub):
    metadata = (("seldon-internal-model", "x"), ("seldon-internal-model", "iris-onnx"), ("x-request-id", "r-1"))
    message = codec.encode_request(InferRequest((TENSOR,), model="anything"))
    response, call = stub.ModelInfer.with_call(message, metadata=metadata)
    assert response.model_name == "iris-onnx"
    assert dict(call.initial_metadata())["x-request-id"] == "r-1"


def test_a_stream_answers_each_request_in_order(stub: service.Stub):
    requests = [codec.encode_request(InferRequest((TENSOR,), model="iris-onnx", id=str(n))) for n in range(5)]
    assert [it.id for it in stub.ModelStreamInfer(iter(requests), timeout=20)] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("rpc", "request_message"),
    [
        ("ModelInfer", pb.ModelInferRequest(model_name="nowhere")),
        ("ModelReady", pb.ModelReadyRequest(name="nowhere")),
        ("ModelMetadata", pb.ModelMetadataRequest(name="nowhere")),
    ],
)
def test_a_model_that_is_not_loaded_is_marked(stub: service.Stub, rpc: str, request_message):
    error = refusal(getattr(stub, rpc), request_message, metadata=(("x-request-id", "r-2"),))
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "the model 'nowhere' is not loaded")
    assert not error.initial_metadata()
    trailers = dict(error.trailing_metadata())
    assert (trailers["x-modelyard-not-loaded"], trailers["x-request-id"]) == ("true", "r-2")


def test_a_gateway_that_routes_to_a_model_that_is_not_loaded_hears_unavailable(stub: service.Stub):
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelReady(pb.ModelReadyRequest(name="m"), metadata=(("seldon-internal-model", "nowhere_1"),))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(refused.value.trailing_metadata())["x-modelyard-not-loaded"] == "true"


def test_a_stream_for_a_model_that_is_not_loaded_is_marked(stub: service.Stub):
    with pytest.raises(grpc.RpcError) as refused:
        list(stub.ModelStreamInfer(iter([pb.ModelInferRequest(model_name="nowhere")]), timeout=20))
    assert dict(refused.value.trailing_metadata())["x-modelyard-not-loaded"] == "true"


def test_a_refusal_is_one_frame_so_that_a_proxy_sees_its_trailers_as_headers(runtime: Runtime):
    path = b"/inference.GRPCInferenceService/ModelInfer"
    named = pb.ModelInferRequest(model_name="nowhere").SerializeToString()
    headers = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"x",
        b"content-type": b"application/grpc",
        b"te": b"trailers",
    }
    block = b"".join(b"\0" + bytes([len(k)]) + k + bytes([len(v)]) + v for k, v in headers.items())
    body = b"\0" + struct.pack(">I", len(named)) + named
    with socket.create_connection(runtime.grpc.rsplit(":", 1), timeout=20) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        connection.sendall(frame(1, 4, 1, block) + frame(0, 1, 1, body))
        kinds = []
        with connection.makefile("rb") as stream:
            while True:
                head = stream.read(9)
                stream.read(int.from_bytes(head[:3]))
                if int.from_bytes(head[5:]) == 1 and head[3] in (0, 1):
                    kinds.append(head[3])
                    if head[4] & 1:
                        break
    assert kinds == [1]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


@pytest.mark.parametrize(
    ("request_message", "code", "says"),
    [
        (pb.ModelInferRequest(model_name="iris-onnx"), "INVALID_ARGUMENT", "input tensor 'X' is missing"),
        (pb.ModelInferRequest(model_name="iris-onnx", model_version="3"), "NOT_FOUND", "no version '3'"),
        (
            codec.encode_request(InferRequest((Tensor("Y", "FP32", TENSOR.data),), model="iris-onnx")),
            "INVALID_ARGUMENT",
            "'X' is missing",
        ),
        (
            codec.encode_request(InferRequest((TENSOR,), (RequestedOutput("z"),), "iris-onnx")),
            "INVALID_ARGUMENT",
            "'z' is not an output",
        ),
        (codec.encode_request(InferRequest((TENSOR,), model="fails")), "INTERNAL", "the model 'fails' failed"),
    ],
)
def test_a_refusal_has_the_right_status_and_a_sentence(stub: service.Stub, request_message, code: str, says: str):
    error = refusal(stub.ModelInfer, request_message)
    assert error.code().name == code
    assert says in error.details()
    assert "x-modelyard-not-loaded" not in dict(error.trailing_metadata())


def test_the_repository_is_managed(stub: service.Stub):
    stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="scaler"), timeout=60)
    index = {it.name: it.state for it in stub.RepositoryIndex(pb.RepositoryIndexRequest()).models}
    assert (index["scaler"], index["empty"]) == ("READY", "UNAVAILABLE")
    ready = {it.name for it in stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True)).models}
    assert "scaler" in ready
    assert "empty" not in ready
    error = refusal(stub.RepositoryModelLoad, pb.RepositoryModelLoadRequest(model_name="broken"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = refusal(stub.RepositoryModelUnload, pb.RepositoryModelUnloadRequest(model_name="nowhere"))
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_a_large_tensor_comes_back_whole(stub: service.Stub):
    data = np.arange(8_000_000, dtype=DTYPES["FP32"])
    answer = infer(stub, InferRequest((Tensor("x", "FP32", data),), model="identity-fp32"))
    assert np.array_equal(answer.outputs[0].data, data)
