"""Content types as clients of MLServer send them, and streams, through the gateway to models trained in the test."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import joblib
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from modelyard.run import ports
from modelyard.wire import service
from modelyard.wire.oip import grpc as codec
from modelyard.wire.oip.nouns import InferRequest, Tensor
from tests.e2e.yard import Yard, running
from tests.runtime import frames

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")]

KINDS = """
import numpy as np
import pandas as pd

class Kinds:
    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        year = [it.year if hasattr(it, "year") else 0 for it in table["at"]]
        return pd.DataFrame({"year": year, "kind": [type(it).__name__ for it in table["raw"]], "when": table["at"]})
"""
COUNTS = """
class Counts:
    async def predict_stream(self, count):
        for number in range(int(count[0])):
            yield {"number": [number], "word": ["n" + str(number)]}

    def predict(self, count):
        return {"number": list(range(int(count[0])))}
"""
MANIFEST = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata:
  name: {name}
spec:
  storageUri: {folder}
  requirements: [{requirement}]
  memory: 2Mi
---
"""
MODELS = {"pipeline": "sklearn", "texts": "sklearn", "kinds": "python", "counts": "python"}


@pytest.fixture(scope="module")
def pipeline() -> tuple[Any, Any]:
    return frames.pipeline()


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory, pipeline: tuple[Any, Any]) -> Iterator[Yard]:
    home = tmp_path_factory.mktemp("content-types")
    for name in MODELS:
        (home / "models" / name).mkdir(parents=True)
    texts = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"], ["+", "-"])
    joblib.dump(pipeline[0], home / "models/pipeline/model.joblib")
    joblib.dump(texts, home / "models/texts/model.joblib")
    (home / "models/kinds/model.py").write_text(KINDS)
    (home / "models/counts/model.py").write_text(COUNTS)
    manifests = (
        MANIFEST.format(name=name, folder=home / "models" / name, requirement=it) for name, it in MODELS.items()
    )
    (home / "models.yaml").write_text("".join(manifests))
    with running(home, "--replicas", "1") as it:
        it.do("apply", "-f", str(home / "models.yaml"))
        with it.client() as client:
            for name in MODELS:
                client.wait(name, timeout_seconds=60)
        yield it


def gateway(yard: Yard) -> str:
    return f"127.0.0.1:{ports.fixed_ports(yard.port_base).gateway}"


def column(name: str, datatype: str, data: list[Any], content_type: str | None = None) -> dict[str, Any]:
    found = {"name": name, "datatype": datatype, "shape": [len(data), 1], "data": data}
    return found | ({"parameters": {"content_type": content_type}} if content_type else {})


def people(table: Any, content_type: str | None = None) -> list[dict[str, Any]]:
    return [
        column("age", "FP64", table["age"].tolist()),
        column("children", "INT64", table["children"].tolist()),
        column("city", "BYTES", table["city"].tolist(), content_type),
    ]


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize(
    ("request_level", "input_level"), [(None, None), ("pd", None), (None, "str"), (None, "pd"), ("pd", "str")]
)
def test_a_pipeline_gets_its_table(
    yard: Yard, pipeline: Any, protocol: Any, request_level: str | None, input_level: str | None
) -> None:
    fitted, table = pipeline
    body: dict[str, Any] = {"inputs": people(table, input_level)}
    if request_level:
        body["parameters"] = {"content_type": request_level}
    with yard.client() as client:
        answer = client.infer_json("pipeline", body, protocol=protocol).body
    (label,) = answer["outputs"]
    assert (label["datatype"], label["shape"], label["parameters"]) == ("BYTES", [60, 1], {"content_type": "str"})
    assert label["data"] == fitted.predict(table).tolist()


def test_probabilities_are_had_by_name(yard: Yard, pipeline: Any) -> None:
    fitted, table = pipeline
    body = {"inputs": people(table), "outputs": [{"name": "predict_proba"}]}
    with yard.client() as client:
        (found,) = client.infer_json("pipeline", body).body["outputs"]
    assert np.allclose(np.reshape(found["data"], found["shape"]), fitted.predict_proba(table))


@pytest.mark.parametrize("module", ["http", "grpc"])
def test_tritonclient_sends_a_table(yard: Yard, pipeline: Any, module: str) -> None:
    triton = pytest.importorskip(f"tritonclient.{module}")
    fitted, table = pipeline
    inputs = []
    for name, datatype in (("age", "FP64"), ("children", "INT64"), ("city", "BYTES")):
        values = table[name].to_numpy(dtype=object if datatype == "BYTES" else None).reshape(-1, 1)
        inputs.append(triton.InferInput(name, list(values.shape), datatype))
        inputs[-1].set_data_from_numpy(values)
    client = triton.InferenceServerClient(gateway(yard))
    headers = {"seldon-model": "pipeline"}
    answer = client.infer("pipeline", inputs, headers=headers, parameters={"content_type": "pd"})
    assert [it.decode() for it in answer.as_numpy("predict").reshape(-1)] == fitted.predict(table).tolist()
    client.close()


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_text_goes_to_a_model_of_texts(yard: Yard, protocol: Any) -> None:
    body = {"inputs": [column("review", "BYTES", ["so good", "so bad"], "str")]}
    with yard.client() as client:
        (label,) = client.infer_json("texts", body, protocol=protocol).body["outputs"]
    assert label["data"] == ["+", "-"]


def test_times_and_base64_are_what_they_stand_for_and_a_frame_comes_back_as_columns(yard: Yard) -> None:
    raw = base64.b64encode(b"\xff\x00").decode()
    body = {
        "parameters": {"content_type": "pd"},
        "inputs": [
            column("at", "BYTES", ["2026-11-22T10:00:00Z"], "datetime"),
            column("raw", "BYTES", [raw], "base64"),
        ],
    }
    with yard.client() as client:
        outputs = {it["name"]: it for it in client.infer_json("kinds", body).body["outputs"]}
        wrong = {"inputs": [column("at", "BYTES", ["soon"], "datetime"), column("raw", "BYTES", ["x"])]}
        with pytest.raises(Exception, match="tensor 'at': 'soon' is no date and time in ISO 8601"):
            client.infer_json("kinds", wrong)
    assert {name: it["data"] for name, it in outputs.items()} == {
        "year": [2026],
        "kind": ["bytes"],
        "when": ["2026-11-22T10:00:00.000000"],
    }
    assert outputs["when"]["parameters"] == {"content_type": "datetime"}


def test_a_users_generator_is_a_stream_of_events(yard: Yard) -> None:
    body = {"inputs": [{"name": "count", "datatype": "INT64", "shape": [1], "data": [3]}]}
    headers = {"seldon-model": "counts"}
    url = f"http://{gateway(yard)}/v2/models/counts/infer_stream"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data:")) for line in answer.iter_lines() if line.startswith("data:")]
    assert [[it["data"] for it in event["outputs"]] for event in events] == [[[n], [f"n{n}"]] for n in range(3)]
    with yard.client() as client:
        assert client.infer_json("counts", body).body["outputs"][0]["data"] == [0, 1, 2]


def test_a_users_generator_is_a_grpc_stream(yard: Yard) -> None:
    count = Tensor("count", "INT64", np.array([4]))
    message = codec.encode_request(InferRequest((count,), model="counts"))
    with grpc.insecure_channel(gateway(yard)) as channel:
        stub = service.Stub(channel, service.INFERENCE)
        stream = stub.ModelStreamInfer(iter([message]), metadata=(("seldon-model", "counts"),), timeout=60)
        answers = [codec.decode_response(it) for it in stream]
    assert [it.outputs[0].data.tolist() for it in answers] == [[0], [1], [2], [3]]
