"""What the manifest and the files of a model say, key by key."""

from typing import Any

import pytest

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.settings import Settings, TensorSettings, of_manifest, of_mlserver, of_ours

THEIRS = {
    "name": "iris",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "platform": "sklearn",
    "versions": ["v1"],
    "parallel_workers": 2,
    "max_batch_size": 8,
    "max_batch_time": 0.5,
    "inputs": [
        {"name": "age", "datatype": "INT64", "shape": [-1, 1], "parameters": {"content_type": "np"}},
        {"name": "sex", "datatype": "BYTES", "shape": [-1], "parameters": None},
    ],
    "outputs": [{"name": "predict", "datatype": "FP32", "shape": [-1]}],
    "parameters": {"uri": "./m.joblib", "version": "v1", "content_type": "pd", "extra": {"depth": 3}, "environment": 1},
}


def test_everything_that_mlservers_file_may_say():
    assert of_mlserver(THEIRS) == Settings(
        format="sklearn",
        file="./m.joblib",
        version="v1",
        content_type="pd",
        inputs=(TensorSettings("age", "INT64", (-1, 1), "np"), TensorSettings("sex", "BYTES", (-1,))),
        outputs=(TensorSettings("predict", "FP32", (-1,)),),
        parameters={"depth": 3},
        max_batch_size=8,
        wait_seconds=0.5,
    )


@pytest.mark.parametrize(
    ("implementation", "expected"),
    [
        ("mlserver_xgboost.XGBoostModel", Settings(format="xgboost")),
        ("mlserver_lightgbm.LightGBMModel", Settings(format="lightgbm")),
        ("mlserver_sklearn.sklearn.SKLearnModel", Settings(format="sklearn")),
        ("models.MyModel", Settings(implementation="models.MyModel")),
        ("mlserver_huggingface.HuggingFaceRuntime", Settings(implementation="mlserver_huggingface.HuggingFaceRuntime")),
        (None, Settings()),
    ],
)
def test_implementations_of_mlserver(implementation: str | None, expected: Settings):
    assert of_mlserver({"implementation": implementation}) == expected


def test_everything_that_our_file_may_say():
    assert of_ours(
        {
            "implementation": "model.Model",
            "file": "sub",
            "artifact_version": 0,
            "content_type": "str",
            "inputs": [{"name": "x"}],
            "parameters": {"a": [1]},
            "batch": False,
            "max_batch_size": 0,
            "max_batch_time_ms": 0,
        }
    ) == Settings(
        implementation="model.Model",
        file="sub",
        artifact_version=0,
        content_type="str",
        inputs=(TensorSettings("x"),),
        parameters={"a": [1]},
        batch=False,
        max_batch_size=0,
        wait_seconds=0.0,
    )


def test_a_manifests_text_is_taken_for_what_is_wanted_and_the_rest_is_the_models():
    assert of_manifest(
        {"batch": "False", "max_batch_size": " 4 ", "max_batch_time_ms": "2.5", "content_type": "str", "depth": "3"}
    ) == Settings(batch=False, max_batch_size=4, wait_seconds=0.0025, content_type="str", parameters={"depth": "3"})


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        pytest.param(Settings(), Settings(batch=True), Settings(batch=True), id="nothing said"),
        pytest.param(Settings(batch=False), Settings(batch=True), Settings(batch=False), id="false is said"),
        pytest.param(
            Settings(wait_seconds=0.0), Settings(wait_seconds=1.0), Settings(wait_seconds=0.0), id="0 is said"
        ),
        pytest.param(
            Settings(parameters={"a": 1}),
            Settings(parameters={"a": 2, "b": 3}),
            Settings(parameters={"a": 1, "b": 3}),
            id="parameters of both",
        ),
        pytest.param(
            Settings(format="onnx"),
            Settings(implementation="m.M", file="x"),
            Settings(format="onnx", file="x"),
            id="a format in place of a class",
        ),
        pytest.param(
            Settings(implementation="m.M"),
            Settings(format="onnx"),
            Settings(implementation="m.M"),
            id="a class instead",
        ),
    ],
)
def test_what_is_said_first_counts(mine: Settings, theirs: Settings, expected: Settings):
    assert mine.over(theirs) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 3),
        ("format", "tf"),
        ("file", ""),
        ("artifact_version", -1),
        ("artifact_version", True),
        ("batch", 1),
        ("max_batch_size", "4"),
        ("max_concurrency", 0),
        ("max_queue", 0),
        ("max_queue", "many"),
        ("worker", 1),
        ("max_batch_time_ms", float("nan")),
        ("max_batch_time_ms", float("inf")),
        ("inputs", {}),
        ("inputs", [1]),
        ("inputs", [{}]),
        ("inputs", [{"name": "x", "datatype": "FLOAT"}]),
        ("inputs", [{"name": "x", "datatype": []}]),
        ("inputs", [{"name": "x", "shape": "3"}]),
        ("inputs", [{"name": "x", "shape": [-2]}]),
        ("outputs", [{"name": "x", "parameters": []}, {"name": "y", "parameters": {"content_type": 3}}]),
        ("parameters", []),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_what_it_must_be(key: str, value: Any):
    if key == "outputs":
        value = value[1:]
    with pytest.raises(InvalidInput, match=rf"^'{key}' in modelyard-model\.json must be "):
        of_ours({key: value})


@pytest.mark.parametrize(
    ("found", "key"),
    [
        ({"implementation": 3}, "implementation"),
        ({"parameters": "x"}, "parameters"),
        ({"parameters": {"uri": 3}}, "uri"),
        ({"parameters": {"extra": "x"}}, "extra"),
        ({"parameters": {"version": 1.5}}, "version"),
    ],
)
def test_a_wrong_value_in_mlservers_file_is_named(found: dict[str, Any], key: str):
    with pytest.raises(InvalidInput, match=rf"^'{key}' in model-settings\.json must be "):
        of_mlserver(found)
