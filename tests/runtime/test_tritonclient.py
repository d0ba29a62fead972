"""A client that we did not write: NVIDIA's tritonclient, over both protocols."""

import queue
from typing import Any

import numpy as np
import pytest

from tests.runtime.artifacts import ROW
from tests.runtime.conftest import Runtime

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

httpclient = pytest.importorskip("tritonclient.http")
grpcclient = pytest.importorskip("tritonclient.grpc")

DEADLINE = 60

TYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}


@pytest.fixture
def http(runtime: Runtime):
    client = httpclient.InferenceServerClient(runtime.http.removeprefix("http://"))
    yield client
    client.close()


@pytest.fixture
def rpc(runtime: Runtime):
    client = grpcclient.InferenceServerClient(runtime.grpc)
    yield client
    client.close()


def tensor(module, name: str, datatype: str, values, **options):
    array = np.array(values, dtype=TYPES[datatype])
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **options)
    return made


@pytest.mark.parametrize("kind", ["http", "rpc"])
def test_the_server_answers_every_question(request: pytest.FixtureRequest, kind: str):
    client = request.getfixturevalue(kind)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    options = {"as_json": True} if kind == "rpc" else {}
    assert client.get_server_metadata(**options)["name"] == "modelyard"
    assert client.get_model_metadata("iris-onnx", **options)["inputs"][0]["name"] == "X"
    index = client.get_model_repository_index(**options)
    entries = index["models"] if kind == "rpc" else index
    assert {"iris", "empty"} <= {it["name"] for it in entries}
    client.load_model("scaler")
    assert client.is_model_ready("scaler")


@pytest.mark.parametrize("binary_input", [True, False])
@pytest.mark.parametrize("binary_output", [True, False, None])
def test_http_with_and_without_the_binary_extension(http, binary_input: bool, binary_output: bool | None):
    outputs = None
    if binary_output is not None:
        names = ("probabilities", "label")
        outputs = [httpclient.InferRequestedOutput(name, binary_data=binary_output) for name in names]
    inputs = [tensor(httpclient, "X", "FP32", [ROW, ROW], binary_data=binary_input)]
    answer = http.infer("iris-onnx", inputs, outputs=outputs, request_id="7")
    assert answer.get_response()["id"] == "7"
    assert answer.as_numpy("label").tolist() == [0, 0]
    assert answer.as_numpy("probabilities").shape == (2, 3)


@pytest.mark.parametrize("datatype", TYPES)
def test_every_datatype_goes_there_and_back(http, rpc, datatype: str):
    values = [b"a", "é".encode()] if datatype == "BYTES" else [0, 1]
    model = f"identity-{datatype.lower()}"
    expected = np.array(values, dtype=TYPES[datatype]).tolist()
    answers = [http.infer(model, [tensor(httpclient, "x", datatype, values)])]
    if datatype != "FP16":  # which this client sends in binary only
        answers.append(http.infer(model, [tensor(httpclient, "x", datatype, values, binary_data=False)]))
    answers.append(rpc.infer(model, [tensor(grpcclient, "x", datatype, values)]))
    assert [it.as_numpy("y").tolist() for it in answers] == [expected] * len(answers)


def test_native_models_answer_in_mlservers_names(http, rpc):
    for client, module in ((http, httpclient), (rpc, grpcclient)):
        answer = client.infer("iris-named", [tensor(module, "predict", "FP64", [ROW])])
        assert answer.as_numpy("predict").tolist() == [[b"setosa"]]


def test_a_mistake_is_reported_by_both(http, rpc):
    from tritonclient.utils import InferenceServerException

    for client, module in ((http, httpclient), (rpc, grpcclient)):
        with pytest.raises(InferenceServerException, match=r"'X' has shape \[1, 3\]"):
            client.infer("iris-onnx", [tensor(module, "X", "FP32", [ROW[:3]])])
        assert not module_ready(client)


def module_ready(client) -> bool:
    """Whether a model that is not there is ready; over gRPC this client raises instead."""
    from tritonclient.utils import InferenceServerException

    try:
        return bool(client.is_model_ready("nowhere"))
    except InferenceServerException:
        return False


def test_a_stream_in_tritons_form_goes_on_after_a_failure(rpc):
    heard: queue.Queue[tuple[Any, Any]] = queue.Queue()
    rpc.start_stream(lambda result, error: heard.put((result, error)), headers={"modelyard-stream-form": "triton"})
    for number, row in enumerate((ROW, ROW[:3], ROW)):
        given = tensor(grpcclient, "X", "FP32", [row])
        rpc.async_stream_infer("iris-onnx", [given], request_id=str(number))
        result, error = heard.get(timeout=DEADLINE)
        if len(row) == 4:
            assert error is None
            assert result.get_response().id == str(number)
            assert result.as_numpy("label").tolist() == [0]
        else:
            assert "shape" in str(error)
    rpc.stop_stream()
