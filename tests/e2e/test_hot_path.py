"""The fast way: gateway to runtime by its unix socket, REST and gRPC over HTTP/1.1, with clients that others wrote."""

import gzip
import json
import queue
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from modelyard.wire import service
from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from modelyard.wire.oip import grpc as codec
from modelyard.wire.oip.nouns import DTYPES, InferRequest, Tensor
from tests.e2e.yard import IRIS, Traffic, Yard, assert_nothing_left, load_iris, until
from tests.runtime import artifacts

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]

httpclient = pytest.importorskip("tritonclient.http")
grpcclient = pytest.importorskip("tritonclient.grpc")

WAIT = 60
REQUEST = json.dumps(
    {"inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 4], "data": IRIS.reshape(-1).tolist()}]}
)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    it = Yard(tmp_path_factory.mktemp("yard"))
    try:
        it.up("--replicas", "1")
        artifacts.file(it.home, "models/same/model.onnx", artifacts.identity("FP32"))
        with it.client() as client:
            load_iris(client, "iris")
            client.load("same", str(it.home / "models" / "same"), requires=["onnx"], memory="1Mi")
            client.wait("same", timeout_seconds=WAIT)
        until(lambda: by_socket(it), "the gateway goes by the socket")
        yield it
        before = it.system()
        it.down()
        assert_nothing_left(it, before)
    finally:
        it.end()


def clusters(yard: Yard) -> list[str]:
    """Envoy's own words on where it goes."""
    address = (yard.state_dir / "gateway" / "admin-address").read_text()
    with urllib.request.urlopen(f"http://{address}/clusters", timeout=WAIT) as answer:
        return str(answer.read(), "utf-8").splitlines()


def socket_of(yard: Yard) -> Path:
    return yard.state_dir / "servers" / "local" / "0" / "runtime.sock"


def by_socket(yard: Yard) -> bool:
    wanted = {f"local:0.{protocol}::{socket_of(yard)}::cx_active" for protocol in ("http", "grpc")}
    return wanted <= {line.rpartition("::")[0] for line in clusters(yard)}


def sent_by(yard: Yard, cluster: str) -> int:
    prefix = f"{cluster}::{socket_of(yard)}::rq_total::"
    return sum(int(line.removeprefix(prefix)) for line in clusters(yard) if line.startswith(prefix))


@pytest.fixture
def gateway(yard: Yard) -> str:
    return f"127.0.0.1:{yard.port_base}"


@pytest.fixture
def stub(gateway: str) -> Iterator[service.Stub]:
    limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(gateway, options=limits) as channel:
        yield service.Stub(channel, service.INFERENCE)


def message(**changes: object) -> pb.ModelInferRequest:
    return codec.encode_request(InferRequest((Tensor("X", "FP32", IRIS),), **{"model": "iris", **changes}))


def to(model: str) -> tuple[tuple[str, str], ...]:
    return (("seldon-model", model),)


def refusal(call, *arguments, **options) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(*arguments, timeout=WAIT, **options)
    return refused.value.code(), refused.value.details()


def test_rest_and_grpc_go_by_the_socket(yard: Yard, stub: service.Stub, gateway: str):
    before = sent_by(yard, "local:0.grpc"), sent_by(yard, "local:0.http")
    answer = codec.decode_response(stub.ModelInfer(message(id="5"), metadata=to("iris"), timeout=WAIT))
    assert (answer.id, answer.model, answer.outputs[0].data.tolist()) == ("5", "iris_1", [0, 2])
    found = httpx.post(f"http://{gateway}/v2/models/iris/infer", content=REQUEST, timeout=WAIT)
    assert found.json()["outputs"][0]["data"] == [0, 2]
    assert found.headers["x-request-id"]
    assert (sent_by(yard, "local:0.grpc"), sent_by(yard, "local:0.http")) == (before[0] + 1, before[1] + 1)


def test_refusals_keep_their_status_and_their_sentence(stub: service.Stub):
    code, says = refusal(stub.ModelInfer, pb.ModelInferRequest(model_name="iris"), metadata=to("iris"))
    assert (code, "input tensor 'X' is missing" in says) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    code, says = refusal(stub.ModelInfer, message(version="9"), metadata=to("iris"))
    assert (code, "no version '9'" in says) == (grpc.StatusCode.NOT_FOUND, True)
    umlaut = pb.ModelInferRequest(model_name="iris", outputs=[{"name": "größe 100%"}])
    assert "größe 100%" in refusal(stub.ModelInfer, umlaut, metadata=to("iris"))[1]


def test_60_mb_come_back_whole(stub: service.Stub):
    data = np.arange(15_000_000, dtype=DTYPES["FP32"])
    request = codec.encode_request(InferRequest((Tensor("x", "FP32", data),), model="same"))
    answer = codec.decode_response(stub.ModelInfer(request, metadata=to("same"), timeout=WAIT))
    assert np.array_equal(answer.outputs[0].data, data)


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate], ids=str)
def test_compressed_messages_are_understood(stub: service.Stub, compression: grpc.Compression):
    data = np.zeros(100_000, dtype=DTYPES["FP32"])
    request = codec.encode_request(InferRequest((Tensor("x", "FP32", data),), model="same"))
    answer = stub.ModelInfer(request, metadata=to("same"), timeout=WAIT, compression=compression)
    assert np.array_equal(codec.decode_response(answer).outputs[0].data, data)
    answers = stub.ModelStreamInfer(iter([request] * 3), metadata=to("same"), timeout=WAIT, compression=compression)
    assert [len(it.raw_output_contents[0]) for it in answers] == [400_000] * 3


def test_a_stream_in_lock_step(stub: service.Stub):
    requests: queue.SimpleQueue[pb.ModelInferRequest | None] = queue.SimpleQueue()
    call = stub.ModelStreamInfer(iter(requests.get, None), metadata=to("iris"), timeout=WAIT)
    for number in range(20):
        requests.put(message(id=str(number)))
        assert next(call).id == str(number)
    requests.put(None)
    assert list(call) == []
    assert call.code() is grpc.StatusCode.OK


def test_a_stream_sent_at_once_and_ended_by_its_first_failure(stub: service.Stub):
    many = [message(id=str(number)) for number in range(200)]
    answers = stub.ModelStreamInfer(iter(many), metadata=to("iris"), timeout=WAIT)
    assert [it.id for it in answers] == [str(number) for number in range(200)]
    call = stub.ModelStreamInfer(iter([many[0], pb.ModelInferRequest(), many[1]]), metadata=to("iris"), timeout=WAIT)
    assert next(call).id == "0"
    with pytest.raises(grpc.RpcError) as refused:
        next(call)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_stream_may_be_cancelled(yard: Yard, stub: service.Stub):
    requests: queue.SimpleQueue[pb.ModelInferRequest | None] = queue.SimpleQueue()
    call = stub.ModelStreamInfer(iter(requests.get, None), metadata=to("iris"), timeout=WAIT)
    requests.put(message())
    next(call)
    call.cancel()
    requests.put(None)
    active = f"local:0.grpc::{socket_of(yard)}::rq_active::0"
    until(lambda: active in clusters(yard), "nothing is under way")
    assert stub.ModelInfer(message(), metadata=to("iris"), timeout=WAIT).model_name == "iris_1"


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_over_http(gateway: str, binary: bool):
    with httpclient.InferenceServerClient(gateway) as client:
        sent = httpclient.InferInput("X", [2, 4], "FP32")
        sent.set_data_from_numpy(IRIS, binary_data=binary)
        outputs = [httpclient.InferRequestedOutput("label", binary_data=binary)]
        options = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
        for more in ({}, options):
            answer = client.infer("iris", [sent], outputs=outputs, **more)
            assert answer.as_numpy("label").tolist() == [0, 2]


def test_tritonclient_over_grpc(gateway: str):
    with grpcclient.InferenceServerClient(gateway) as client:
        sent = grpcclient.InferInput("X", [2, 4], "FP32")
        sent.set_data_from_numpy(IRIS)
        for compression in (None, "gzip"):
            answer = client.infer("iris", [sent], headers={"seldon-model": "iris"}, compression_algorithm=compression)
            assert answer.as_numpy("label").tolist() == [0, 2]


def test_tritonclient_streams_when_it_says_which_answers_it_reads(gateway: str):
    heard: queue.Queue[tuple[object, object]] = queue.Queue()
    with grpcclient.InferenceServerClient(gateway) as client:
        sent = grpcclient.InferInput("X", [2, 4], "FP32")
        sent.set_data_from_numpy(IRIS)
        headers = {"seldon-model": "iris", "modelyard-stream-form": "triton"}
        client.start_stream(lambda result, error: heard.put((result, error)), headers=headers)
        for number in range(3):
            client.async_stream_infer("iris", [sent], request_id=str(number))
            result, error = heard.get(timeout=WAIT)
            assert error is None
            assert result.get_response().id == str(number)
            assert result.as_numpy("label").tolist() == [0, 2]
        client.stop_stream()


def curl(*arguments: str, data: bytes) -> bytes:
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--no-buffer",
        "--max-time",
        str(WAIT),
        *arguments,
        "--data-binary",
        "@-",
    ]
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=2 * WAIT).stdout


def test_curl_reads_events(gateway: str):
    said = curl("--include", f"http://{gateway}/v2/models/iris/infer_stream", data=REQUEST.encode()).decode()
    head, _, body = said.partition("\r\n\r\n")
    assert "content-type: text/event-stream" in head
    assert json.loads(body.removeprefix("data: "))["outputs"][0]["data"] == [0, 2]


def test_curl_speaks_gzip_both_ways(gateway: str):
    rows = np.zeros(5000, dtype=np.float32).tolist()
    request = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [5000], "data": rows}]}).encode()
    url = f"http://{gateway}/v2/models/same/infer"
    headers = ["--header", "content-encoding: gzip", "--header", "accept-encoding: gzip"]
    answer = gzip.decompress(curl(*headers, url, data=gzip.compress(request)))
    assert json.loads(answer)["outputs"][0]["data"] == rows


def test_a_socket_that_is_gone_is_no_outage_and_one_that_is_back_is_used_again(yard: Yard):
    """Taken away under a running runtime; whoever restarts that makes another."""
    with yard.client() as client, Traffic(yard, ["iris"]) as traffic:
        traffic.until_more()
        socket_of(yard).unlink()
        until(lambda: not by_socket(yard), "the gateway leaves the socket")
        traffic.until_more()
        assert traffic.failures == []
    killed = yard.kill("runtime-local-0")
    yard.until_restarted(killed)
    yard.until_whole(yard.client(), 1)
    until(lambda: by_socket(yard), "the gateway goes by the new socket")
    client = yard.client()
    client.wait("iris", timeout_seconds=WAIT)
