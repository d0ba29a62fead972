"""A library that is not installed: one sentence that names the extra, and nothing announced that cannot be served."""

import sys
from pathlib import Path

import pytest

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.formats import extras
from modelyard.runtime.formats.load import Options, load

MODELS = {
    "xgboost": ("model.ubj", b""),
    "lightgbm": ("model.txt", b"tree\n"),
    "catboost": ("model.cbm", b""),
    "skops": ("model.skops", b""),
}


@pytest.fixture(params=sorted(MODELS))
def missing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The library can neither be found nor imported, and our module for it has not been imported before."""
    monkeypatch.setitem(sys.modules, request.param, None)
    ours = f"modelyard.runtime.formats.{'skops_file' if request.param == 'skops' else request.param}"
    monkeypatch.delitem(sys.modules, ours, raising=False)
    monkeypatch.delattr(ours, raising=False)
    return request.param


def test_all_libraries_are_installed_where_the_tests_run():
    assert extras.installed() == ("xgboost", "lightgbm", "catboost")


def test_a_missing_library_is_not_among_the_installed(missing: str):
    assert missing not in extras.installed()
    assert set(extras.installed()) == set(extras.FORMATS) - {missing}


def test_a_missing_library_is_one_sentence_that_names_the_extra(missing: str, tmp_path: Path):
    file, content = MODELS[missing]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        load(tmp_path, Options())
    assert str(refused.value).endswith(
        f"is not installed where this server runs: `pip install 'modelyard[{missing}]'` brings it"
    )


def test_what_a_library_itself_lacks_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "scipy_of_old", None)

    def imports() -> None:
        import scipy_of_old  # noqa: F401

    with pytest.raises(InvalidInput, match="XGBoost needs the Python package 'scipy_of_old', which is missing"):
        extras.imported("xgboost", imports)


def test_a_library_that_cannot_be_imported_says_why():
    def imports() -> None:
        raise OSError("libgomp.so.1: cannot open shared object file\nand so on")

    with pytest.raises(InvalidInput) as refused:
        extras.imported("lightgbm", imports)
    assert str(refused.value) == (
        "LightGBM is installed, but cannot be imported: OSError: libgomp.so.1: cannot open shared object file"
    )
