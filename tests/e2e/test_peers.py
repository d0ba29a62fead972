"""Clients that we did not write, against the whole system: NVIDIA's tritonclient, curl, and gRPC reflection."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from openapi_spec_validator import validate

from tests.e2e.yard import Yard, load_iris
from tests.runtime.docs.pasted import pasted

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)
CLASSES = [0, 2]


@pytest.fixture
def model(shared_yard: Yard) -> Iterator[str]:
    name = f"peer-{uuid.uuid4().hex[:8]}"
    with shared_yard.client() as client:
        load_iris(client, name, replicas=2)
        client.wait(name)
        yield name
        client.unload(name)


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient_asks_over_rest_through_the_gateway(shared_yard: Yard, model: str, binary: bool) -> None:
    http = pytest.importorskip("tritonclient.http")
    client = http.InferenceServerClient(shared_yard.system().gateway)
    try:
        assert client.is_server_live()
        assert client.is_model_ready(model)
        assert client.get_model_metadata(model)["inputs"][0]["datatype"] == "FP32"
        wanted = http.InferInput("X", list(ROWS.shape), "FP32")
        wanted.set_data_from_numpy(ROWS, binary_data=binary)
        outputs = [http.InferRequestedOutput("label", binary_data=binary)]
        answer = client.infer(model, [wanted], outputs=outputs, request_id="r-7")
        assert answer.as_numpy("label").tolist() == CLASSES
        assert answer.get_response()["id"] == "r-7"
        assert answer.get_response()["model_name"] == f"{model}_1"
        with pytest.raises(http.InferenceServerException, match="no-such-model"):
            client.infer("no-such-model", [wanted])
    finally:
        client.close()


def test_tritonclient_asks_over_grpc_through_the_gateway(shared_yard: Yard, model: str) -> None:
    rpc = pytest.importorskip("tritonclient.grpc")
    client = rpc.InferenceServerClient(shared_yard.system().gateway)
    try:
        headers = {"seldon-model": model}
        assert client.is_model_ready(model, headers=headers)
        wanted = rpc.InferInput("X", list(ROWS.shape), "FP32")
        wanted.set_data_from_numpy(ROWS)
        answer = client.infer("whatever", [wanted], headers=headers)
        assert answer.as_numpy("label").tolist() == CLASSES
        assert answer.get_response().model_name == f"{model}_1"
        with pytest.raises(rpc.InferenceServerException) as refused:
            client.infer("no-such-model", [wanted], headers={"seldon-model": "no-such-model"})
        assert refused.value.status() == "StatusCode.UNIMPLEMENTED"
    finally:
        client.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_asks_by_path_and_by_header(shared_yard: Yard, model: str) -> None:
    body = json.dumps({"inputs": [{"name": "X", "shape": [2, 4], "datatype": "FP32", "data": ROWS.tolist()}]})
    gateway = shared_yard.system().gateway

    def curl(path: str, *flags: str) -> tuple[str, str]:
        command = ["curl", "-sS", "-i", f"http://{gateway}{path}", "-d", body, *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        headers, _, content = done.stdout.rpartition("\n\n")
        return headers.lower(), content

    for path, flags in ((f"/v2/models/{model}/infer", ()), ("/v2/models/any/infer", ("-H", f"seldon-model: {model}"))):
        headers, content = curl(path, *flags, "-H", "x-request-id: mine")
        assert f"x-seldon-route: :{model}_1:" in headers
        assert "x-request-id: mine" in headers
        outputs = {it["name"]: it["data"] for it in json.loads(content)["outputs"]}
        assert outputs["label"] == CLASSES


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_page_of_a_model_shows_a_command_that_works_when_it_is_pasted(shared_yard: Yard, model: str) -> None:
    """Its name and its address are those of the gateway, not those of the server behind it."""
    gateway = f"http://{shared_yard.system().gateway}"
    assert pasted(f"{gateway}/v2/models/{model}")["model_name"] == f"{model}_1"
    document = httpx.get(f"{gateway}/v2/models/{model}/docs/openapi.json", timeout=30).json()
    validate(document)
    assert (document["info"]["title"], document["servers"]) == (model, [{"url": gateway}])


def test_every_grpc_port_describes_itself(shared_yard: Yard) -> None:
    system = shared_yard.system()
    ports = {part.name: part.ports for part in system.parts}
    described = {
        system.scheduler: {"seldon.mlops.scheduler.Scheduler", "modelyard.v1.Control"},
        system.agents: {"seldon.mlops.agent.AgentService", "modelyard.v1.AgentReports"},
        system.xds: {"envoy.service.discovery.v3.AggregatedDiscoveryService"},
        f"127.0.0.1:{ports['runtime-local-0']['grpc']}": {"inference.GRPCInferenceService"},
        f"127.0.0.1:{ports['agent-local-0']['debug']}": {"seldon.mlops.agent_debug.AgentDebugService"},
    }
    for address, services in described.items():
        with grpc.insecure_channel(address) as channel:
            reflection = ProtoReflectionDescriptorDatabase(channel)
            listed = set(reflection.get_services())
            common = {"grpc.health.v1.Health", "seldon.mlops.health.HealthCheckService"}
            assert services | common <= listed, address
            pool = DescriptorPool(reflection)
            for service in services:
                assert pool.FindServiceByName(service).methods, service
