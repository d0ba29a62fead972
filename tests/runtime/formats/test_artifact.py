"""Which file of a folder is the model."""

import json
from pathlib import Path

import pytest

from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.runtime.formats import artifact


def folder(tmp_path: Path, *files: str, settings: object = None) -> Path:
    made = tmp_path / "iris"
    made.mkdir()
    for name in files:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(b"")
    if settings is not None:
        (made / artifact.SETTINGS).write_text(settings if isinstance(settings, str) else json.dumps(settings))
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
    assert artifact.find(made) == artifact.ArtifactFile(made / path, kind, version)


@pytest.mark.parametrize(
    ("files", "settings", "says"),
    [
        pytest.param([], None, "no model file found", id="nothing"),
        pytest.param(["readme.md"], None, "no model file found", id="no artifact"),
        pytest.param(["a.onnx", "b.onnx"], None, "several files could be the model (a.onnx, b.onnx)", id="two"),
        pytest.param(["a.onnx"], "{", "is not JSON", id="settings are no JSON"),
        pytest.param(["a.onnx"], [], "must hold a JSON object", id="settings are no object"),
        pytest.param(["a.onnx"], {"fil": "a.onnx"}, "unknown key 'fil'", id="an unknown key"),
        pytest.param(["a.onnx"], {"artifact_version": True}, "must be of type int", id="a wrong type"),
        pytest.param(["a.onnx"], {"format": "tf"}, "format 'tf' is not served", id="an unknown format"),
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
