"""The V2 endpoints over HTTP, as a client sees them."""

import gzip
import json
import zlib

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.runtime.artifacts import ROW
from tests.runtime.conftest import Runtime


def tensor(**changes):
    return {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": ROW} | changes


def test_the_server_says_that_it_is_live_and_ready_and_which_start_of_it_this_is(client: httpx.Client):
    live, ready = client.get("/v2/health/live"), client.get("/v2/health/ready")
    assert (live.status_code, ready.status_code) == (200, 200)
    metadata = client.get("/v2").json()
    assert metadata["name"] == "modelyard"
    instance = live.headers["x-modelyard-instance"]
    assert f"modelyard-instance:{instance}" in metadata["extensions"]
    assert ready.headers["x-modelyard-instance"] == instance


def test_a_model_describes_itself_by_its_own_signature(client: httpx.Client):
    assert client.get("/v2/models/iris-onnx").json() == {
        "name": "iris-onnx",
        "versions": ["1"],
        "platform": "onnx",
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }
    native = client.get("/v2/models/iris-named/versions/1").json()
    assert native["inputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1, 4]}]
    assert native["outputs"][:2] == [
        {"name": "predict", "datatype": "BYTES", "shape": [-1, -1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
    ]


def test_onnx_and_native_models_agree_about_an_iris(client: httpx.Client):
    request = {"id": "42", "inputs": [tensor()]}
    answer = client.post("/v2/models/iris-onnx/infer", json=request).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("iris-onnx", "1", "42")
    label, probabilities = answer["outputs"]
    assert label == {"name": "label", "shape": [1], "datatype": "INT64", "data": [0]}
    assert sum(probabilities["data"]) == pytest.approx(1)
    native = client.post("/v2/models/iris/infer", json=request).json()
    assert native["outputs"] == [{"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [0]}]
    named = client.post("/v2/models/iris-named/infer", json=request).json()
    text = {"content_type": "str"}
    (label,) = named["outputs"]
    assert label == {"name": "predict", "shape": [1, 1], "datatype": "BYTES", "parameters": text, "data": ["setosa"]}
    zipmap = client.post("/v2/models/iris-zipmap/infer", json=request).json()
    assert zipmap["outputs"][1]["shape"] == [1, 3]
    assert zipmap["outputs"][1]["data"] == pytest.approx(probabilities["data"])


def test_outputs_are_answered_as_asked_for(client: httpx.Client):
    request = {"inputs": [tensor()], "outputs": [{"name": "predict_proba"}, {"name": "predict"}]}
    outputs = client.post("/v2/models/iris/infer", json=request).json()["outputs"]
    assert [(it["name"], it["shape"]) for it in outputs] == [("predict_proba", [1, 3]), ("predict", [1, 1])]


@pytest.mark.parametrize("name", ["scaler", "diabetes"])
def test_transformers_and_regressors_are_served(client: httpx.Client, name: str):
    width = client.get(f"/v2/models/{name}").json()["inputs"][0]["shape"][1]
    request = {"inputs": [{"name": "any", "shape": [2, width], "datatype": "FP64", "data": [0.5] * 2 * width}]}
    answer = client.post(f"/v2/models/{name}/infer", json=request)
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["shape"][0] == 2


def test_data_is_converted_to_what_the_model_takes(client: httpx.Client):
    request = {"inputs": [tensor(datatype="INT8", data=[5, 3, 1, 0])]}
    assert client.post("/v2/models/iris-onnx/infer", json=request).status_code == 200


def test_the_gateways_header_overrides_the_name_in_the_path(client: httpx.Client):
    headers = [("seldon-internal-model", "iris"), ("seldon-internal-model", "iris-onnx"), ("x-request-id", "r-1")]
    answer = client.post("/v2/models/anything/infer", json={"inputs": [tensor()]}, headers=headers)
    assert answer.json()["model_name"] == "iris-onnx"
    assert answer.headers["x-request-id"] == "r-1"
    assert client.get("/v2/models/anything", headers=headers).json()["name"] == "iris-onnx"


@pytest.mark.parametrize("path", ["", "/ready", "/infer"])
def test_a_model_that_is_not_loaded_is_marked_so_that_another_replica_may_be_asked(client: httpx.Client, path: str):
    answer = client.request("POST" if path == "/infer" else "GET", f"/v2/models/nowhere{path}", content=b"{")
    assert answer.status_code == 404
    assert answer.headers["x-modelyard-not-loaded"] == "true"
    assert answer.json() == {"error": "the model 'nowhere' is not loaded"}


def test_a_gateway_that_routes_to_a_model_that_is_not_loaded_hears_try_again(client: httpx.Client):
    answer = client.get("/v2/models/nowhere", headers={"seldon-internal-model": "nowhere_1"})
    assert (answer.status_code, answer.headers["x-modelyard-not-loaded"]) == (503, "true")
    assert answer.json() == {"error": "the model 'nowhere_1' is not loaded"}


def test_a_version_that_is_not_loaded_is_no_reason_to_ask_another_replica(client: httpx.Client):
    answer = client.get("/v2/models/iris/versions/7/ready")
    assert (answer.status_code, "x-modelyard-not-loaded" in answer.headers) == (404, False)
    assert client.get("/v2/models/iris/versions/1/ready").status_code == 200


@pytest.mark.parametrize(
    ("model", "request_body", "says"),
    [
        pytest.param("iris-onnx", {"inputs": []}, "'X' is missing", id="no input"),
        pytest.param("iris-onnx", {"inputs": [tensor(name="Y")]}, "'X' is missing", id="another name"),
        pytest.param(
            "iris-onnx", {"inputs": [tensor(), tensor(name="Y")]}, "'Y' is not an input", id="one input too many"
        ),
        pytest.param(
            "iris-onnx",
            {"inputs": [tensor(shape=[2, 2])]},
            "'X' has shape [2, 2], the model takes [-1, 4]",
            id="a shape that does not fit",
        ),
        pytest.param(
            "iris-onnx",
            {"inputs": [tensor(datatype="BYTES", data=["a"] * 4)]},
            "'X': BYTES data cannot be turned into FP32",
            id="text for numbers",
        ),
        pytest.param(
            "iris-onnx",
            {"inputs": [tensor()], "outputs": [{"name": "nothing"}]},
            "'nothing' is not an output",
            id="an unknown output",
        ),
        pytest.param("iris", {"inputs": [tensor(shape=[2, 2])]}, "'X' has 2 features", id="too few features"),
        pytest.param("iris", {"inputs": [tensor(shape=[4])]}, "'X' has shape [4]", id="a row without rows"),
        pytest.param("iris", {"inputs": [tensor(), tensor(name="Y")]}, "one input tensor", id="two inputs"),
        pytest.param("iris", {"inputs": [tensor(data=[None] * 4)]}, "contains NaN", id="refused by the model"),
        pytest.param(
            "identity-int64",
            {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [0.5]}]},
            "'x': 0.5 is not a whole number",
            id="a fraction for an integer",
        ),
    ],
)
def test_a_mistake_of_the_clients_is_400_and_names_the_tensor(client: httpx.Client, model, request_body, says):
    answer = client.post(f"/v2/models/{model}/infer", json=request_body)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["error"]


def test_a_model_that_fails_is_500_with_a_sentence_and_the_server_goes_on(client: httpx.Client):
    request = {"inputs": [tensor()]}
    answer = client.post("/v2/models/fails/infer", json=request)
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("the model 'fails' failed: KeyError")
    assert client.post("/v2/models/iris/infer", json=request).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/v2/health/live", 200),
        ("GET", "/v2/models/iris/infer", 405),
        ("POST", "/v2", 405),
        ("GET", "/", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models//ready", 404),
        ("POST", "/v2/models/iris/infer", 400),
        ("GET", "/v2/models/%2e%2e", 404),
        ("POST", "/v2/repository/models/iris%2F..%2Firis/load", 404),
        ("POST", "/v2/repository/models/%2e%2e/load", 400),
    ],
)
def test_other_methods_and_paths_are_answered_politely(runtime: Runtime, method: str, path: str, status: int):
    with httpx.Client() as client:
        answer = client.request(method, httpx.URL(runtime.http).copy_with(raw_path=path.encode()))
    assert answer.status_code == status
    if method == "HEAD":
        assert answer.content == b""
    elif status >= 400:
        assert set(answer.json()) == {"error"}
    if status == 405:
        assert answer.headers["allow"] in ("POST", "GET, HEAD")


WHOLE = json.dumps({"inputs": [tensor()]}).encode()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(WHOLE)),
        ("deflate", zlib.compress(WHOLE)),
        ("gzip, identity", gzip.compress(WHOLE)),
        ("deflate, gzip", gzip.compress(zlib.compress(WHOLE))),
        ("gzip", gzip.compress(WHOLE + b" " * 2_000_000)),
    ],
    ids=["gzip", "deflate", "identity too", "twice", "large"],
)
def test_a_compressed_body_is_understood(client: httpx.Client, coding: str, packed: bytes):
    answer = client.post("/v2/models/iris-onnx/infer", content=packed, headers={"content-encoding": coding})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == [0]


@pytest.mark.parametrize(
    ("coding", "body", "status", "says"),
    [
        ("br", b"x", 415, "'br' are not supported: gzip and deflate are"),
        ("gzip", b"x", 400, "the body is not gzip"),
        ("gzip", gzip.compress(WHOLE)[:-9], 400, "the body is not gzip"),
        ("gzip", gzip.compress(bytes(64 << 20)), 413, "inflates to more than 16777216 bytes"),
    ],
    ids=["unknown", "damaged", "cut off", "a bomb"],
)
def test_a_bad_compressed_body_is_refused(client: httpx.Client, coding: str, body: bytes, status: int, says: str):
    answer = client.post("/v2/models/iris-onnx/infer", content=body, headers={"content-encoding": coding})
    assert answer.status_code == status
    assert says in answer.json()["error"]


@pytest.mark.parametrize("rows", [2_000, 20_000])
@pytest.mark.parametrize(("accepts", "coding"), [("gzip", "gzip"), ("deflate;q=0.5", "deflate"), ("gzip;q=0", None)])
def test_a_large_answer_is_compressed_for_who_asks(client: httpx.Client, rows: int, accepts: str, coding: str | None):
    data = np.zeros(rows, dtype=np.float32).tolist()
    request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [rows], "data": data}]}
    headers = {"accept-encoding": accepts, "x-request-id": "7"}
    with client.stream("POST", "/v2/models/identity-fp32/infer", json=request, headers=headers) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["x-request-id"] == "7"
    plain = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding](raw)
    assert json.loads(plain)["outputs"][0]["data"] == data


def test_a_small_answer_is_never_compressed(client: httpx.Client):
    answer = client.post("/v2/models/iris-onnx/infer", content=WHOLE, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def events(client: httpx.Client, path: str, request: object, **headers: str) -> list[dict[str, str]]:
    with client.stream("POST", path, json=request, headers=headers) as answer:
        answer.read()
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/event-stream"
        fields = [[line.partition(": ")[::2] for line in it.splitlines()] for it in answer.text.split("\n\n")]
    return [dict(it) for it in fields if it]


@pytest.mark.parametrize("path", ["/v2/models/iris-onnx/infer_stream", "/v2/models/iris/versions/1/infer_stream"])
def test_answers_come_as_events(client: httpx.Client, path: str):
    (event,) = events(client, path, {"id": "5", "inputs": [tensor()], "parameters": {"binary_data_output": True}})
    answer = json.loads(event["data"])
    assert answer["id"] == "5"
    assert answer["outputs"][0]["data"] == [0]


def test_what_fails_before_the_first_event_is_an_http_error(client: httpx.Client):
    answer = client.post("/v2/models/iris-onnx/infer_stream", json={"inputs": []})
    assert answer.status_code == 400
    assert "missing" in answer.json()["error"]
    answer = client.post("/v2/models/nowhere/infer_stream", json={"inputs": [tensor()]})
    assert answer.headers["x-modelyard-not-loaded"] == "true"


def test_the_unix_socket_speaks_the_same(runtime: Runtime):
    assert runtime.socket is not None
    assert runtime.socket.stat().st_mode & 0o777 == 0o600
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(runtime.socket))) as client:
        answer = client.post("http://x/v2/models/iris-onnx/infer", content=WHOLE)
        extensions = client.get("http://x/v2").json()["extensions"]
    assert answer.json()["outputs"][0]["data"] == [0]
    assert {"modelyard-grpc-over-http1", f"modelyard-unix-socket:{runtime.socket}"} <= set(extensions)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "parameters": JSON,
        "inputs": JSON
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "name": st.sampled_from(["X", "y", ""]) | JSON,
                    "shape": st.lists(st.integers(-1, 5) | st.integers(), max_size=3) | JSON,
                    "datatype": st.sampled_from(["FP32", "INT64", "BYTES", "FP16"]) | JSON,
                    "data": st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8) | JSON,
                    "parameters": st.dictionaries(st.just("binary_data_size"), st.integers(-1, 20)) | JSON,
                },
            ),
            max_size=2,
        ),
        "outputs": JSON | st.lists(st.fixed_dictionaries({"name": st.sampled_from(["label", "predict"]) | JSON})),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(body=NEARLY, model=st.sampled_from(["iris-onnx", "iris", "iris-named", "identity-bytes"]))
def test_whatever_json_comes_is_answered_and_never_with_500(client: httpx.Client, body, model: str):
    try:
        answer = client.post(f"/v2/models/{model}/infer", json=body)
    except (ValueError, UnicodeEncodeError):  # what httpx cannot write
        return
    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 200 or answer.json()["error"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=100), length=st.none() | st.integers(-1, 120))
def test_whatever_bytes_come_are_answered_and_never_with_500(client: httpx.Client, body: bytes, length: int | None):
    headers = {} if length is None else {"inference-header-content-length": str(length)}
    answer = client.post("/v2/models/iris-onnx/infer", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]
