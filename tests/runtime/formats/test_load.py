"""What settings say about sharing calls, wherever they say it."""

import json
from pathlib import Path

import pytest

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.batching import Limits
from modelyard.runtime.bounds import Bounds
from modelyard.runtime.formats.load import Options, load
from modelyard.wire.oip.loading import LoadOrder
from tests.runtime import artifacts, graphs


def limits(folder: Path, ours=None, theirs=None, graph: bytes | None = None, **manifest: str) -> Limits | None:
    artifacts.file(folder, "m/1/model.onnx", graph or artifacts.identity("FP32"))
    for name, content in (("modelyard-model.json", ours), ("1/model-settings.json", theirs)):
        if content is not None:
            artifacts.file(folder, f"m/{name}", json.dumps(content).encode())
    return load(folder / "m", Options(), LoadOrder(parameters=manifest)).batching


def bounds(folder: Path, ours=None, **manifest: str) -> Bounds:
    artifacts.file(folder, "m/model.onnx", artifacts.identity("FP32"))
    artifacts.file(folder, "m/modelyard-model.json", json.dumps(ours or {}).encode())
    return load(folder / "m", Options(), LoadOrder(parameters=manifest)).bounds


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        pytest.param(None, None, Limits(), id="nothing said"),
        pytest.param({"batch": False}, {"max_batch_size": 5}, None, id="switched off"),
        pytest.param({"max_batch_size": 1}, None, None, id="calls of one request"),
        pytest.param(
            {"max_batch_size": 5, "max_batch_time_ms": 20}, None, Limits(5, wait_seconds=0.02), id="ours in ms"
        ),
        pytest.param(
            None,
            {"name": "m", "max_batch_size": 5, "max_batch_time": 0.5},
            Limits(5, wait_seconds=0.5),
            id="MLServer's in seconds",
        ),
        pytest.param(None, {"max_batch_size": 0, "max_batch_time": 0.0}, Limits(), id="MLServer's defaults"),
        pytest.param(
            {"max_batch_time_ms": 0},
            {"max_batch_size": 5, "max_batch_time": 1},
            Limits(5),
            id="ours before MLServer's",
        ),
    ],
)
def test_settings_are_read(tmp_path: Path, ours, theirs, expected: Limits | None):
    assert limits(tmp_path, ours, theirs) == expected


def test_bounds_are_read_and_the_manifest_comes_first(tmp_path: Path):
    assert bounds(tmp_path) == Bounds()
    assert bounds(tmp_path, {"max_concurrency": 2, "max_queue": 5}) == Bounds(2, 5)
    assert bounds(tmp_path, {"max_queue": 5}, max_queue="7") == Bounds(max_queue=7)


def test_the_manifest_comes_first(tmp_path: Path):
    ours, theirs = {"max_batch_size": 5, "max_batch_time_ms": 7}, {"max_batch_size": 9}
    assert limits(tmp_path, ours, theirs, max_batch_size="3") == Limits(3, wait_seconds=0.007)


def test_a_model_that_mixes_rows_shares_calls_only_where_it_is_told_to(tmp_path: Path):
    assert limits(tmp_path, graph=graphs.counts()) is None
    assert limits(tmp_path, {"batch": True}, graph=graphs.counts()) == Limits()


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        ({"batch": "no"}, None, "'batch' in modelyard-model.json must be true or false"),
        ({"max_batch_size": -1}, None, "'max_batch_size' in modelyard-model.json must be a number of requests"),
        (None, {"max_batch_size": 1.5}, "'max_batch_size' in model-settings.json must be a number of requests"),
        ({"max_batch_time_ms": 60_001}, None, "'max_batch_time_ms' in modelyard-model.json must be a number from 0 to"),
        (None, {"max_batch_time": "1"}, "'max_batch_time' in model-settings.json must be a number from 0 to 60"),
        (None, [], "model-settings.json must hold a JSON object"),
        ({"max_batch": 1}, None, "unknown key 'max_batch'"),
        ({"batch": "no"}, None, "^m: "),
    ],
)
def test_a_setting_that_cannot_be_is_a_sentence(tmp_path: Path, ours, theirs, says: str):
    with pytest.raises(InvalidInput, match=says):
        limits(tmp_path, ours, theirs)


def test_a_parameter_of_the_manifest_that_cannot_be_is_a_sentence(tmp_path: Path):
    with pytest.raises(InvalidInput, match="m: 'batch' in the manifest's parameters must be true or false"):
        limits(tmp_path, batch="perhaps")


@pytest.mark.parametrize(
    ("parameters", "note"),
    [
        ({"batch": "true"}, ""),
        ({"batsh": "true"}, "the parameter batsh of the manifest has no effect on this format"),
        ({"b": "1", "a": "1"}, "the parameters a, b of the manifest have no effect on this format"),
    ],
)
def test_a_parameter_of_the_manifest_that_nobody_takes_is_noted(tmp_path: Path, parameters, note: str):
    artifacts.file(tmp_path, "m/model.onnx", artifacts.identity("FP32"))
    assert load(tmp_path / "m", Options(), LoadOrder(parameters=parameters)).note == note
