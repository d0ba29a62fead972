"""Which file of a folder is the model."""

import json
from pathlib import Path

import pytest

from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.runtime.formats import artifact
from modelyard.runtime.formats.settings import MLSERVER, OURS
from modelyard.wire.oip.loading import LoadOrder


def folder(tmp_path: Path, *files: str, settings: object = None) -> Path:
    made = tmp_path / "iris"
    made.mkdir()
    for name in files:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(b"")
    if settings is not None:
        (made / OURS).write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return made


@pytest.mark.parametrize(
    ("files", "settings", "path", "kind", "version"),
    [
        pytest.param(["a.onnx"], None, "a.onnx", "onnx", "1", id="the only one"),
        pytest.param(["m.pkl", "readme.md"], None, "m.pkl", "sklearn", "1", id="other files are none"),
        pytest.param(["model.joblib", "x.joblib"], None, "model.joblib", "sklearn", "1", id="the one called model"),
        pytest.param(["sub/m.onnx"], None, "sub/m.onnx", "onnx", "1", id="one level down"),
        pytest.param(["9/m.onnx", "10/m.onnx"], None, "10/m.onnx", "onnx", "10", id="the highest number"),
        pytest.param(["9/m.onnx", "10/m.onnx"], {"artifact_version": 9}, "9/m.onnx", "onnx", "9", id="the number told"),
        pytest.param(["a.onnx", "b.onnx"], {"file": "b.onnx"}, "b.onnx", "onnx", "1", id="the file told"),
        pytest.param(["a.onnx", "b.pkl"], {"format": "sklearn"}, "b.pkl", "sklearn", "1", id="the format told"),
        pytest.param(["weights"], {"file": "weights", "format": "onnx"}, "weights", "onnx", "1", id="any name, told"),
    ],
)
def test_the_artifact_is_found(tmp_path, files, settings, path, kind, version):
    made = folder(tmp_path, *files, settings=settings)
    found = artifact.find(made)
    assert (found.path, found.format, found.version) == (made / path, kind, version)


@pytest.mark.parametrize(
    ("files", "settings", "says"),
    [
        pytest.param([], None, "no model file found", id="nothing"),
        pytest.param(["readme.md"], None, "no model file found", id="no artifact"),
        pytest.param(["a.onnx", "b.onnx"], None, "several files could be the model (a.onnx, b.onnx)", id="two"),
        pytest.param(["a.onnx"], "{", "is not JSON", id="settings are no JSON"),
        pytest.param(["a.onnx"], [], "must hold a JSON object", id="settings are no object"),
        pytest.param(["a.onnx"], {"fil": "a.onnx"}, "unknown key 'fil'", id="an unknown key"),
        pytest.param(
            ["a.onnx"],
            {"artifact_version": True},
            "'artifact_version' in modelyard-model.json must be a whole number",
            id="a wrong type",
        ),
        pytest.param(
            ["a.onnx"], {"format": "tf"}, "'format' in modelyard-model.json must be one of onnx", id="an unknown format"
        ),
        pytest.param(["a.onnx"], {"file": "../secret.pkl"}, "not a file in its folder", id="outside the folder"),
        pytest.param(["1/a.onnx"], {"artifact_version": 2}, "no folder for version 2", id="a missing version"),
        pytest.param(["a.txt"], {"file": "a.txt"}, "is of no known format", id="an unknown suffix"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_models_name(tmp_path, files, settings, says):
    (tmp_path / "secret.pkl").write_bytes(b"")
    with pytest.raises(InvalidInput) as refused:
        artifact.find(folder(tmp_path, *files, settings=settings))
    assert says in str(refused.value)


XGBOOST = b'{"learner":{'
LIGHTGBM = b"tree\nversion=v4\n"


@pytest.mark.parametrize(
    ("files", "settings", "path", "kind"),
    [
        pytest.param(
            {"booster.json": XGBOOST, "model-settings.json": b'{"name": "iris"}'},
            None,
            "booster.json",
            "xgboost",
            id="other JSON beside it",
        ),
        pytest.param({"b.bst": XGBOOST}, {}, "b.bst", "xgboost", id="bst by content"),
        pytest.param({"b.bst": LIGHTGBM}, {}, "b.bst", "lightgbm", id="the other bst by content"),
        pytest.param({"b.bst": XGBOOST, "a.bst": LIGHTGBM}, {"format": "xgboost"}, "b.bst", "xgboost", id="told"),
        pytest.param({"b.bst": b"?"}, {"format": "xgboost", "file": "b.bst"}, "b.bst", "xgboost", id="told both"),
        pytest.param({"m.txt": LIGHTGBM, "requirements.txt": b"x"}, {}, "m.txt", "lightgbm", id="other text beside it"),
        pytest.param({"2/m.txt": LIGHTGBM, "requirements.txt": b"x"}, {}, "2/m.txt", "lightgbm", id="text above it"),
    ],
)
def test_boosters_are_found_by_content(tmp_path, files, settings, path, kind):
    made = folder(tmp_path, *files, settings=settings)
    for name, content in files.items():
        (made / name).write_bytes(content)
    found = artifact.find(made)
    assert (found.path, found.format) == (made / path, kind)


def test_files_that_might_have_been_the_model_are_named(tmp_path):
    made = folder(tmp_path, "1/model.json", settings={})
    with pytest.raises(InvalidInput, match=r"no model file found \(1/model\.json: neither XGBoost's nor LightGBM's"):
        artifact.find(made)


def test_a_missing_folder_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no model 'iris'"):
        artifact.find(tmp_path / "iris")


SKLEARN_SETTINGS = {"name": "iris", "implementation": "mlserver_sklearn.SKLearnModel"}


@pytest.mark.parametrize(
    ("files", "theirs", "expected"),
    [
        pytest.param(
            ["a.pkl", "b.onnx"],
            {"model-settings.json": SKLEARN_SETTINGS},
            ("a.pkl", "sklearn", "1"),
            id="MLServer's implementation is a format",
        ),
        pytest.param(
            ["a.pkl", "b.pkl"],
            {"model-settings.json": {**SKLEARN_SETTINGS, "parameters": {"uri": "./b.pkl", "version": "v7"}}},
            ("b.pkl", "sklearn", "v7"),
            id="MLServer's uri and version",
        ),
        pytest.param(
            ["model/a.pkl", "old/a.pkl"],
            {"model-settings.json": {**SKLEARN_SETTINGS, "parameters": {"uri": "model", "version": 7}}},
            ("model/a.pkl", "sklearn", "7"),
            id="a uri that is a folder",
        ),
        pytest.param(
            ["1/a.pkl", "2/a.pkl", "2/b.pkl"],
            {"2/model-settings.json": {**SKLEARN_SETTINGS, "parameters": {"uri": "./b.pkl"}}},
            ("2/b.pkl", "sklearn", "2"),
            id="settings in a numbered folder",
        ),
        pytest.param(
            ["model/a.pkl", "model/b.pkl"],
            {"model/model-settings.json": {**SKLEARN_SETTINGS, "parameters": {"uri": "./b.pkl"}}},
            ("model/b.pkl", "sklearn", "1"),
            id="settings one level down",
        ),
        pytest.param(
            ["a.pkl", "b.onnx"],
            {"model-settings.json": SKLEARN_SETTINGS, OURS: {"format": "onnx"}},
            ("b.onnx", "onnx", "1"),
            id="ours before MLServer's",
        ),
    ],
)
def test_settings_of_mlserver_are_honoured(tmp_path, files, theirs, expected):
    made = folder(tmp_path, *files)
    for name, content in theirs.items():
        (made / name).write_text(json.dumps(content))
    found = artifact.find(made)
    assert (str(found.path.relative_to(made)), found.format, found.version) == expected


def test_who_orders_a_load_calls_its_version(tmp_path):
    made = folder(tmp_path, "a.pkl")
    (made / MLSERVER).write_text('{"parameters": {"version": "v7"}}')
    assert artifact.find(made, LoadOrder(requirements=("sklearn",))).version == "1"


@pytest.mark.parametrize(
    ("files", "version", "expected"),
    [
        pytest.param(["1/a.pkl", "2/a.pkl"], 1, "1/a.pkl", id="the number ordered"),
        pytest.param(["a.pkl"], 3, "a.pkl", id="no numbers to choose from"),
    ],
)
def test_an_ordered_version_is_chosen_among_numbered_folders(tmp_path, files, version, expected):
    made = folder(tmp_path, *files)
    assert artifact.find(made, LoadOrder(artifact_version=version)).path == made / expected


def test_an_ordered_version_that_is_missing_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"iris: there is no folder for version 3; found \[1, 2\]"):
        artifact.find(folder(tmp_path, "1/a.pkl", "2/a.pkl"), LoadOrder(artifact_version=3))
