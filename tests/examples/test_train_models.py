"""The models of the demo: what is checked in says the same as what is trained now."""

import importlib.util
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ("iris", "breast-cancer", "diabetes")
# The classifiers' labels may differ where float32 falls on the other side of a threshold; these data sets have none.
TOLERANCE = 1e-3


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_models", EXAMPLES / "train_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script()


@pytest.fixture(scope="module")
def examples(script: ModuleType) -> Mapping[str, Any]:
    return script.train_all()  # type: ignore[no-any-return]


def onnx_predictions(path: Path, rows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {session.get_inputs()[0].name: rows.astype(np.float32)})
    assert all(isinstance(output, np.ndarray) for output in outputs)  # no zipmap
    return np.ravel(outputs[0])


@pytest.mark.parametrize("name", NAMES)
def test_the_checked_in_onnx_file_predicts_what_a_new_training_does(name: str, examples: Mapping[str, Any]) -> None:
    example = examples[name]
    expected = example.model.predict(example.rows)
    np.testing.assert_allclose(
        onnx_predictions(EXAMPLES / "models" / f"{name}-onnx" / "model.onnx", example.rows), expected, rtol=TOLERANCE
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_new_conversion_predicts_the_same(
    name: str, script: ModuleType, examples: Mapping[str, Any], tmp_path: Path
) -> None:
    example = examples[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skl2onnx's own, about its dependencies
        folder = script.save_onnx(example, tmp_path)
    np.testing.assert_allclose(
        onnx_predictions(folder / "model.onnx", example.rows), example.model.predict(example.rows), rtol=TOLERANCE
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_joblib_loads_without_warnings_and_predicts_the_same(
    name: str, script: ModuleType, examples: Mapping[str, Any], tmp_path: Path
) -> None:
    example = examples[name]
    folder = script.save_sklearn(example, tmp_path)
    loaded = joblib.load(folder / "model.joblib")
    np.testing.assert_array_equal(loaded.predict(example.rows), example.model.predict(example.rows))


def test_the_models_are_worth_showing(examples: Mapping[str, Any]) -> None:
    scores = {name: example.model.score(example.rows, example.truth) for name, example in examples.items()}
    assert scores["iris"] > 0.9
    assert scores["breast-cancer"] > 0.9
    assert scores["diabetes"] > 0.4


def test_training_is_deterministic(script: ModuleType, examples: Mapping[str, Any]) -> None:
    for name, again in script.train_all().items():
        np.testing.assert_array_equal(again.model.predict(again.rows), examples[name].model.predict(again.rows))
