"""What an `MLmodel` file says."""

import json
from typing import Any

import pytest
import yaml

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats.mlflow_folder import Field, parse
from modelyard.runtime.formats.settings import TensorSettings

FUNCTION = {"loader_module": "some.module"}


def text(flavors: Any, inputs: Any = None) -> str:
    signature = {} if inputs is None else {"signature": {"inputs": json.dumps(inputs)}}
    return yaml.safe_dump({"flavors": flavors, **signature})


@pytest.mark.parametrize(
    ("flavors", "native"),
    [
        ({"sklearn": {"pickled_model": "model.pkl", "code": None}}, ("sklearn", "model.pkl")),
        ({"sklearn": {"pickled_model": "model.pkl", "code": "code"}}, None),
        ({"sklearn": {"pickled_model": "m.pkl"}, "python_function": {"predict_fn": "predict_proba"}}, None),
        ({"xgboost": {"data": "model.ubj"}}, ("xgboost", "model.ubj")),
        ({"lightgbm": {"data": "model.lgb"}}, ("lightgbm", "model.lgb")),
        ({"lightgbm": {"data": "model.pkl"}}, ("sklearn", "model.pkl")),
        ({"lightgbm": {"data": "model.skops"}}, None),
        ({"catboost": {"data": "model.cb", "save_format": "cbm"}}, ("catboost", "model.cb")),
        ({"catboost": {"data": "model.json", "save_format": "json"}}, None),
        ({"onnx": {"data": "model.onnx"}}, ("onnx", "model.onnx")),
        ({"onnx": {"data": "model.onnx", "onnx_session_options": {"execution_mode": "parallel"}}}, None),
        ({"pytorch": {"model_data": "data"}}, None),
    ],
)
def test_the_file_that_needs_no_mlflow(flavors: Any, native: tuple[str, str] | None) -> None:
    found = parse(text({"python_function": FUNCTION, **flavors}))
    assert found.native == native
    assert parse(text(flavors)).native == native


@pytest.mark.parametrize(
    ("inputs", "fields"),
    [
        (None, None),
        ([], None),
        (
            [{"type": "long", "name": "a"}, {"type": "datetime", "name": "b", "required": False}],
            (
                Field(TensorSettings("a", "INT64", (-1, 1))),
                Field(TensorSettings("b", "BYTES", (-1, 1), "datetime"), optional=True),
            ),
        ),
        (
            [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}],
            (Field(TensorSettings("", "FP32", (-1, 3)), column=False),),
        ),
        ([{"type": "array", "name": "a", "items": {"type": "long"}}], None),
        ([{"type": "long"}], None),
    ],
)
def test_the_signature_in_our_words(inputs: Any, fields: Any) -> None:
    assert parse(text({"python_function": FUNCTION}, inputs)).fields == fields


@pytest.mark.parametrize("content", ["\0", "[" * 100_000, "a: [", "- 1", "flavors: {}"])
def test_what_is_no_mlmodel_is_one_sentence(content: str) -> None:
    with pytest.raises(InvalidInput, match=r"^MLmodel (is not YAML: |names no flavors)[^\n]*$"):
        parse(content)
