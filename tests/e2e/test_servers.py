"""MLServer and Triton from two lines of YAML to answers through the gateway; their deaths; what they cannot load."""

import os
import queue
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import psutil
import pytest

from modelyard import ModelyardError
from modelyard.domain.names import ReplicaId
from modelyard.run import commands, shared_memory
from modelyard.wire import service
from tests import servers
from tests.e2e.yard import DEADLINE_SECONDS, IRIS, Yard, assert_nothing_left, processes_of, until

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.timeout(servers.INSTALL_SECONDS)]

SERVER = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Server
metadata: {{name: {name}}}
spec: {{serverConfig: {config}, replicas: 1}}
---
"""
MODEL = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata: {{name: {name}}}
spec:
  storageUri: {folder}
  requirements: [{requirements}]
  memory: 2Mi
  parameters: [{{name: plus, value: "0.5"}}]
---
"""


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    for config in ("mlserver", "triton"):
        servers.program(config)


def start(yard: Yard) -> None:
    """A system with one MLServer, one Triton and no other server, and a model of each kind on them."""
    models = yard.home / "models"
    servers.write_iris(models / "iris")
    servers.write_echo(models / "echo")
    servers.write_identity(models / "same")
    yard.up("--replicas", "1")
    manifests = SERVER.format(name="mls", config="mlserver") + SERVER.format(name="tri", config="triton")
    for name, requirements in (("iris", "mlserver, sklearn"), ("echo", "mlserver, python"), ("same", "triton, python")):
        manifests += MODEL.format(name=name, folder=models / name, requirements=requirements)
    apply(yard, manifests)
    yard.do("delete", "server", "local")
    for name in ("iris", "echo", "same"):
        yard.do("wait", f"model/{name}", "--for", "Available", "--timeout", "100s")


def apply(yard: Yard, text: str) -> None:
    file = yard.home / "manifests.yaml"
    file.write_text(text)
    yard.do("apply", "-f", str(file))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """For tests that break nothing."""
    yard = Yard(tmp_path_factory.mktemp("servers"))
    try:
        start(yard)
        yield yard
    finally:
        yard.end()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path)
    try:
        start(yard)
        yield yard
    finally:
        yard.end()


X = IRIS[:1]
EXPECTED = {"iris": ("predict", [0]), "echo": ("y", X + 0.5), "same": ("y", X)}


def ask(yard: Yard, name: str, protocol: str = "rest") -> None:
    with yard.client() as client:
        answer = client.infer(name, {"x": X}, protocol=protocol)  # type: ignore[arg-type]
    output, expected = EXPECTED[name]
    assert np.allclose(np.ravel(answer[output]), np.ravel(expected)), (name, protocol)


def answers(yard: Yard) -> bool:
    """Whether every model answers just now."""
    try:
        for name in EXPECTED:
            for protocol in ("rest", "grpc"):
                ask(yard, name, protocol)
    except ModelyardError as error:
        print(error)  # noqa: T201  # shown when a test fails
        return False
    return True


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize("name", list(EXPECTED))
def test_both_servers_answer_through_the_gateway(shared: Yard, name: str, protocol: str) -> None:
    ask(shared, name, protocol)


def inputs(module: Any, **how: Any) -> list[Any]:
    it = module.InferInput("x", list(X.shape), "FP32")
    it.set_data_from_numpy(X, **how)
    return [it]


@pytest.mark.parametrize("name", list(EXPECTED))
def test_tritonclient_asks_both_by_json_and_grpc(shared: Yard, name: str) -> None:
    http = pytest.importorskip("tritonclient.http")
    rpc = pytest.importorskip("tritonclient.grpc")
    output, expected = EXPECTED[name]
    with http.InferenceServerClient(shared.system().gateway) as client:
        wanted = [http.InferRequestedOutput(output, binary_data=False)]
        answer = client.infer(name, inputs(http, binary_data=False), outputs=wanted)
        assert np.allclose(np.ravel(answer.as_numpy(output)), np.ravel(expected))
    with rpc.InferenceServerClient(shared.system().gateway) as client:
        answer = client.infer(name, inputs(rpc), headers={"seldon-model": name})
        assert np.allclose(np.ravel(answer.as_numpy(output)), np.ravel(expected))
        assert answer.get_response().model_name == f"{name}_1"


def test_tritonclient_sends_triton_tensors_in_binary_and_streams(shared: Yard) -> None:
    http = pytest.importorskip("tritonclient.http")
    rpc = pytest.importorskip("tritonclient.grpc")
    with http.InferenceServerClient(shared.system().gateway) as client:
        wanted = [http.InferRequestedOutput("y", binary_data=True)]
        answer = client.infer("same", inputs(http, binary_data=True), outputs=wanted)
        assert np.array_equal(answer.as_numpy("y"), X)
    heard: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with rpc.InferenceServerClient(shared.system().gateway) as client:
        client.start_stream(lambda result, error: heard.put((result, error)), headers={"seldon-model": "same"})
        for number in range(3):
            client.async_stream_infer("same", inputs(rpc), request_id=str(number))
            result, error = heard.get(timeout=DEADLINE_SECONDS)
            assert error is None
            assert result.get_response().id == str(number)
            assert np.array_equal(result.as_numpy("y"), X)
        client.stop_stream()


def test_mlserver_refuses_binary_tensors_over_rest_and_streams_the_protocols_own_messages(shared: Yard) -> None:
    http = pytest.importorskip("tritonclient.http")
    rpc = pytest.importorskip("tritonclient.grpc")
    with (
        http.InferenceServerClient(shared.system().gateway) as client,
        pytest.raises(Exception, match=r"422"),
    ):
        client.infer("iris", inputs(http, binary_data=True))
    protocol = rpc.service_pb2
    tensor = protocol.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=X.shape)
    message = protocol.ModelInferRequest(model_name="echo", id="7", inputs=[tensor], raw_input_contents=[X.tobytes()])
    request, answer_type = message.SerializeToString(), protocol.ModelInferResponse
    with grpc.insecure_channel(shared.system().gateway) as channel:
        call = channel.stream_stream(
            f"/{service.INFERENCE}/ModelStreamInfer",
            request_serializer=lambda it: it,
            response_deserializer=answer_type.FromString,
        )
        said = list(call(iter([request] * 3), metadata=(("seldon-model", "echo"),), timeout=DEADLINE_SECONDS))
    assert [(it.model_name, it.id) for it in said] == [("echo_1", "7")] * 3


def test_what_they_cannot_load_is_described(shared: Yard) -> None:
    broken = shared.home / "models" / "broken"
    broken.mkdir()
    (broken / "model.joblib").write_bytes(b"not a model")
    lacking = servers.write_identity(shared.home / "models" / "lacking", imports="torch")
    manifests = MODEL.format(name="broken", folder=broken, requirements="mlserver, sklearn")
    manifests += MODEL.format(name="lacking", folder=lacking, requirements="triton, python")
    manifests += MODEL.format(name="flow", folder=broken, requirements="mlserver, mlflow")
    apply(shared, manifests)

    def described(name: str, sentence: str) -> Callable[[], bool]:
        return lambda: sentence in " ".join(shared.do("describe", "model", name).split())

    until(described("broken", "the inference server cannot load it: it gave no reason but '110'"), "MLServer's reason")
    missing = "the Python package 'torch' is not installed where the inference server runs"
    until(described("lacking", missing), "Triton's reason")
    until(described("flow", "lacks mlflow"), "what is not installed is not announced")


def test_an_unload_takes_the_model_away_and_a_request_says_so(shared: Yard) -> None:
    folder = servers.write_identity(shared.home / "models" / "brief")
    apply(shared, MODEL.format(name="brief", folder=folder, requirements="triton, python"))
    shared.do("wait", "model/brief", "--for", "Available", "--timeout", "60s")
    shared.do("delete", "model", "brief")
    tri = shared.part("runtime-tri-0").ports["http"]

    def gone() -> bool:
        listed = httpx.post(f"http://127.0.0.1:{tri}/v2/repository/index", json={"ready": True}, trust_env=False)
        return "brief_1" not in {it["name"] for it in listed.json()}

    until(gone, "it is out of memory")
    answer = httpx.post(f"http://{shared.system().gateway}/v2/models/brief/infer", json={"inputs": []}, trust_env=False)
    assert answer.status_code == 404


def test_what_is_killed_comes_back_and_down_leaves_nothing(own: Yard) -> None:
    for name in ("runtime-mls-0", "runtime-tri-0", "door-mls-0", "door-tri-0", "agent-mls-0", "agent-tri-0"):
        before = own.kill(name)
        own.until_restarted(before)
        until(lambda: answers(own), f"every model answers after {name} was killed")
    whole = own.system()
    own.down()
    assert_nothing_left(own, whole)
    prefix = commands.shared_memory_prefix(own.state_dir, ReplicaId("tri", 0))
    assert not list(shared_memory.FOLDER.glob(f"{prefix}*"))


def test_a_killed_up_leaves_them_serving_and_the_next_one_adopts_them(own: Yard) -> None:
    before = own.system()
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: not before.process.is_alive(), "up is gone")
    assert answers(own)
    own.up()
    after = own.system()
    names = {part.name for part in before.parts if not part.name.endswith("-local-0")}
    assert {it.name: it.pid for it in after.parts if it.name in names} == {
        it.name: it.pid for it in before.parts if it.name in names
    }
    triton = own.part("runtime-tri-0")
    stubs = [it.pid for it in psutil.Process(triton.pid).children(recursive=True)]
    assert stubs
    own.kill("runtime-tri-0")
    until(lambda: not any(map(psutil.pid_exists, stubs)), "its processes are gone with it")
    own.until_restarted(triton)
    until(lambda: answers(own), "every model answers")
    own.down()
    assert not processes_of(own.state_dir)
