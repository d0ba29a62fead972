"""Files that would end the process that reads them end a child, and are refused."""

import re
import time
from pathlib import Path

import lightgbm
import pytest
import xgboost
from sklearn.datasets import load_iris

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import lightgbm as formats_lightgbm
from modelyard.runtime.formats import trial
from modelyard.runtime.formats import xgboost as formats_xgboost
from modelyard.runtime.formats.lightgbm import LIBRARY as LIGHTGBM
from modelyard.runtime.formats.xgboost import LIBRARY as XGBOOST

IRIS, KIND = load_iris(return_X_y=True)
THREE = {"num_class": 3, "verbosity": -1, "num_threads": 1, "objective": "multiclass"}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "model.txt"
    lightgbm.train(THREE, lightgbm.Dataset(IRIS, KIND), 5).save_model(path)
    return path


@pytest.fixture(scope="module")
def ubjson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ubjson") / "model.ubj"
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(IRIS, KIND), 5)
    booster.save_model(path)
    return path


def test_whole_files_pass(text: Path, ubjson: Path):
    trial.load(LIGHTGBM._name, "lightgbm", text)
    trial.load(XGBOOST._name, "xgboost", ubjson)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.6])
@pytest.mark.parametrize("kind", ["xgboost", "lightgbm"])
def test_a_file_that_was_cut_off_is_refused_wherever_that_was(
    tmp_path: Path, text: Path, ubjson: Path, kind: str, share: float
):
    source, reader = {"xgboost": (ubjson, formats_xgboost), "lightgbm": (text, formats_lightgbm)}[kind]
    cut = tmp_path / source.name
    content = source.read_bytes()
    # LightGBM's trees are followed by what it does not read.
    whole = len(content) if kind == "xgboost" else content.index(b"end of trees")
    cut.write_bytes(content[: int(whole * share)])
    with pytest.raises(InvalidInput) as refused:
        reader.read(cut, threads=1)
    assert f"cannot load {cut.name}: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_library_that_ends_the_process_is_named(tmp_path: Path, text: Path):
    cut = tmp_path / "model.txt"
    content = text.read_bytes()
    cut.write_bytes(content[: content.index(b"Tree=1")])
    with pytest.raises(InvalidInput) as refused:
        trial.load(LIGHTGBM._name, "lightgbm", cut)
    assert re.fullmatch(
        r"LightGBM cannot load model.txt: the file is damaged \(LightGBM ended with SIG[A-Z]+ when it read it\)",
        str(refused.value),
    )


def test_a_load_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ubjson: Path):
    stuck = tmp_path / "stuck.py"
    stuck.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(trial, "_PROGRAM", str(stuck))
    monkeypatch.setattr(trial, "_SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(InvalidInput, match="it was not done after 0 s"):
        trial.load(XGBOOST._name, "xgboost", ubjson)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("[19:05:57] /workspace/src/c_api/c_api.cc:1532: Check failed: a == b\nStack", "Check failed: a == b"),
        ("Unknown model format", "Unknown model format"),
        ("map::at", "map::at"),
        ("", "no reason given"),
    ],
)
def test_a_librarys_message_is_one_line_without_its_source(said: str, sentence: str):
    assert trial.message(said) == sentence
