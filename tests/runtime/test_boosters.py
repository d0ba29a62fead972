"""XGBoost and LightGBM in a runtime process: what the libraries predict is what clients get."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest

from modelyard.wire import service
from modelyard.wire.oip import grpc as codec
from modelyard.wire.oip.nouns import DTYPES, InferRequest, RequestedOutput, Tensor
from tests.runtime import boosters
from tests.runtime.boosters import Trained
from tests.runtime.conftest import Runtime, start, stop

pytestmark = pytest.mark.e2e
NAMES = (
    "cancer-json",
    "iris-ubj",
    "diabetes-bst",
    "iris-classifier",
    "cancer-classifier",
    "cancer-txt",
    "iris-txt",
    "diabetes-lightgbm-bst",
)
NOT_WHOLE = ("cut-json", "cut-ubj", "cut-txt", "cut-bst", "empty-ubj", "other-json", "other-bst", "other-txt")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boosters")


@pytest.fixture(scope="session")
def trained(folder: Path) -> dict[str, Trained]:
    return boosters.write(folder)


@pytest.fixture(scope="session")
def serving(folder: Path, trained: dict[str, Trained]) -> Iterator[Runtime]:
    """One for all tests here, with all boosters loaded."""
    for name, source, bytes_ in (
        ("cut-json", "cancer-json/model.json", 2000),
        ("cut-ubj", "iris-ubj/iris.ubj", 2000),
        ("cut-txt", "cancer-txt/model.txt", 4000),
        ("cut-bst", "diabetes-lightgbm-bst/model.bst", 2000),
        ("empty-ubj", "iris-ubj/iris.ubj", 0),
    ):
        (folder / name).mkdir()
        (folder / name / f"model{Path(source).suffix}").write_bytes((folder / source).read_bytes()[:bytes_])
    for name, file, text in (
        ("other-json", "model-settings.json", '{"name": "iris"}'),
        ("other-bst", "model.bst", "what is this"),
        ("other-txt", "requirements.txt", "xgboost"),
    ):
        (folder / name).mkdir()
        (folder / name / file).write_text(text)
    running = start(folder)
    try:
        assert set(trained) == set(NAMES)
        for name in trained:
            answer = running.load(name)
            assert answer.status_code == 200, answer.text
        yield running
    finally:
        code = stop(running)
    assert code == 0, "".join(running.lines)
    assert not any("Traceback" in line for line in running.lines), "".join(running.lines)


def infer(serving: Runtime, name: str, *inputs: dict[str, object], outputs: tuple[str, ...] = ()) -> httpx.Response:
    body = {"inputs": list(inputs), "outputs": [{"name": it} for it in outputs]}
    return httpx.post(f"{serving.http}/v2/models/{name}/infer", json=body, timeout=60)


def tensor(rows: object, datatype: str = "FP64", name: str = "x") -> dict[str, object]:
    array = np.asarray(rows)
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": array.reshape(-1).tolist()}


def arrays(answer: httpx.Response) -> dict[str, object]:
    assert answer.status_code == 200, answer.text
    return {
        it["name"]: np.array(it["data"], dtype=DTYPES[it["datatype"]]).reshape(it["shape"])
        for it in answer.json()["outputs"]
    }


@pytest.mark.parametrize("name", NAMES)
def test_rest_answers_what_the_library_predicts(serving: Runtime, trained: dict[str, Trained], name: str):
    model = trained[name]
    every = arrays(infer(serving, name, tensor(model.rows), outputs=tuple(model.expected)))
    assert list(every) == list(model.expected)
    for output, expected in model.expected.items():
        assert np.array_equal(every[output], expected), output
    assert list(arrays(infer(serving, name, tensor(model.rows)))) == [model.usual]


@pytest.mark.parametrize("name", NAMES)
def test_grpc_answers_what_the_library_predicts(serving: Runtime, trained: dict[str, Trained], name: str):
    model = trained[name]
    outputs = tuple(RequestedOutput(it) for it in model.expected)
    request = InferRequest((Tensor("x", "FP64", model.rows),), outputs, name)
    with grpc.insecure_channel(serving.grpc) as channel:
        stub = service.Stub(channel, service.INFERENCE)
        for raw in (True, False):
            answer = codec.decode_response(stub.ModelInfer(codec.encode_request(request, raw_contents=raw), timeout=60))
            for it, (output, expected) in zip(answer.outputs, model.expected.items(), strict=True):
                assert (it.name, it.data.dtype.kind) == (output, expected.dtype.kind)
                assert np.array_equal(it.data, expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_booster_describes_itself(serving: Runtime, trained: dict[str, Trained], name: str):
    model = trained[name]
    said = httpx.get(f"{serving.http}/v2/models/{name}").json()
    assert said["platform"] == model.platform
    datatype = "FP32" if model.platform == "xgboost" else "FP64"
    assert said["inputs"] == [{"name": "predict", "datatype": datatype, "shape": [-1, model.rows.shape[1]]}]
    assert said["outputs"] == [
        {
            "name": output,
            "datatype": {"i": "INT64", "f": f"FP{expected.dtype.itemsize * 8}"}[expected.dtype.kind],
            "shape": [-1, expected.shape[1]],
        }
        for output, expected in model.expected.items()
    ]


@pytest.mark.parametrize("name", ["iris-ubj", "iris-txt"])
def test_columns_may_come_one_by_one(serving: Runtime, trained: dict[str, Trained], name: str):
    model = trained[name]
    columns = [tensor(model.rows[:, index], name=column) for index, column in enumerate(boosters.COLUMNS)]
    assert np.array_equal(arrays(infer(serving, name, *reversed(columns)))["predict"], model.expected["predict"])
    missing = infer(serving, name, *columns[:3])
    assert (missing.status_code, "input tensor 'petal_width' is missing" in missing.text) == (400, True)


@pytest.mark.parametrize("name", ["iris-ubj", "iris-txt"])
def test_whole_numbers_are_converted_and_null_is_a_missing_value(serving: Runtime, name: str):
    whole = arrays(infer(serving, name, tensor([[5, 3, 1, 0]], "INT8")))["predict"]
    assert np.array_equal(whole, arrays(infer(serving, name, tensor([[5.0, 3.0, 1.0, 0.0]])))["predict"])
    nothing = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [None] * 4}
    assert arrays(infer(serving, name, nothing))["predict"].shape == (1, 3)


@pytest.mark.parametrize("name", ["iris-ubj", "iris-txt", "iris-classifier"])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (tensor([[1.0, 2.0, 3.0]]), "tensor 'x' has 3 features in a row, the model takes 4"),
        (tensor([1.0, 2.0, 3.0, 4.0]), "tensor 'x' has shape [4], the model takes rows of features"),
        (tensor([[[1.0]] * 4]), "tensor 'x' has shape [1, 4, 1], the model takes rows of features"),
        (tensor(np.zeros((0, 4))), "tensor 'x' has shape [0, 4], the model takes rows of features"),
        (tensor([["a"] * 4], "BYTES"), "tensor 'x': BYTES data cannot be turned into"),
    ],
)
def test_what_a_booster_cannot_take_is_refused(serving: Runtime, name: str, given: dict[str, object], says: str):
    answer = infer(serving, name, given)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_an_infinity_is_a_number(serving: Runtime):
    given = Tensor("x", "FP64", np.full((1, 4), np.inf))
    with grpc.insecure_channel(serving.grpc) as channel:
        stub = service.Stub(channel, service.INFERENCE)
        for name in ("iris-ubj", "iris-txt", "iris-classifier"):
            stub.ModelInfer(codec.encode_request(InferRequest((given,), model=name)), timeout=60)


def test_requests_at_the_same_time_get_their_own_answers(serving: Runtime, trained: dict[str, Trained]):
    def ask(turn: int) -> bool:
        name = NAMES[turn % len(NAMES)]
        model = trained[name]
        some = slice(turn % 50, turn % 50 + 40)
        found = arrays(infer(serving, name, tensor(model.rows[some])))[model.usual]
        return bool(np.array_equal(found, model.expected[model.usual][some]))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(120)))


def test_predictions_start_no_threads_of_their_own(serving: Runtime, trained: dict[str, Trained]):
    process = psutil.Process(serving.process.pid)
    for _ in range(20):  # until the runtime's own threads are all there
        infer(serving, "cancer-json", tensor(trained["cancer-json"].rows))
    before = process.num_threads()
    for name in NAMES:
        infer(serving, name, tensor(trained[name].rows))
    assert process.num_threads() <= before


@pytest.mark.parametrize("name", NOT_WHOLE)
def test_a_file_that_cannot_be_loaded_harms_nothing_but_itself(
    serving: Runtime, trained: dict[str, Trained], name: str
):
    says = {
        "cut-json": "XGBoost cannot load model.json",
        "cut-ubj": "XGBoost cannot load model.ubj",
        "cut-txt": "LightGBM cannot load model.txt",
        "cut-bst": "LightGBM cannot load model.bst",
        "empty-ubj": "XGBoost cannot load model.ubj",
        "other-json": "(model-settings.json: neither XGBoost's nor LightGBM's by content)",
        "other-bst": "(model.bst: neither XGBoost's nor LightGBM's by content)",
        "other-txt": "(requirements.txt: neither XGBoost's nor LightGBM's by content)",
    }[name]
    before = httpx.get(f"{serving.http}/v2/health/ready").headers["x-modelyard-instance"]
    answer = serving.load(name)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert httpx.get(f"{serving.http}/v2/health/ready").headers["x-modelyard-instance"] == before
    model = trained["iris-ubj"]
    assert infer(serving, "iris-ubj", tensor(model.rows)).status_code == 200


def test_a_booster_is_loaded_anew_and_unloaded(serving: Runtime, folder: Path, trained: dict[str, Trained]):
    shutil.copytree(folder / "iris-txt", folder / "comes-and-goes")
    rows = tensor(trained["iris-txt"].rows)
    for _ in range(3):
        assert serving.load("comes-and-goes").status_code == 200
        assert infer(serving, "comes-and-goes", rows).status_code == 200
    assert serving.unload("comes-and-goes").status_code == 200
    assert infer(serving, "comes-and-goes", rows).status_code == 404
