from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from modelyard.agent.servers import mlserver_settings

SKLEARN = "mlserver_sklearn.SKLearnModel"


def write(
    given: Mapping[str, Any] | None,
    *requirements: str,
    files: Sequence[str] = ("model.joblib",),
    parameters: Sequence[tuple[str, str]] = (),
    sources: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    return mlserver_settings.written(
        given,
        "iris_2",
        requirements=frozenset(requirements),
        parameters=parameters,
        sources=sources or {},
        files=files,
    )


@pytest.mark.parametrize("format_", mlserver_settings.IMPLEMENTATIONS)
def test_settings_are_made_from_the_requirements(format_: str) -> None:
    assert write(None, format_, "mlserver", files=["a", "b"]) == {
        "name": "iris_2",
        "implementation": mlserver_settings.IMPLEMENTATIONS[format_],
        "parameters": {"version": "1"},
    }


def test_given_settings_keep_all_but_name_and_version() -> None:
    given = {
        "name": "iris",
        "implementation": "my.Runtime",
        "max_batch_size": 5,
        "parameters": {"uri": "./m.joblib", "version": "v7", "extra": {"a": 1, "b": 2}},
    }
    assert write(given, "sklearn", parameters=[("b", "two"), ("c", "three")]) == {
        "name": "iris_2",
        "implementation": "my.Runtime",
        "max_batch_size": 5,
        "parameters": {"uri": "./m.joblib", "version": "1", "extra": {"a": 1, "b": "two", "c": "three"}},
    }
    assert given["parameters"]["version"] == "v7"  # type: ignore[index]


@pytest.mark.parametrize(
    ("given", "files", "uri"),
    [
        pytest.param(None, ["iris.joblib", "README.md"], "./iris.joblib", id="a single file of another name"),
        pytest.param(None, ["a.joblib", "b.pkl"], None, id="more than one: MLServer's own rules"),
        pytest.param(None, ["sub/iris.joblib"], None, id="files below do not count"),
        pytest.param({"parameters": {"uri": "./x"}}, ["iris.joblib"], "./x", id="what is given stays"),
    ],
)
def test_the_file_is_named_where_mlserver_would_not_find_it(
    given: Mapping[str, Any] | None, files: Sequence[str], uri: str | None
) -> None:
    settings = write(given, "sklearn", files=files)
    assert settings["implementation"] == SKLEARN
    assert settings["parameters"].get("uri") == uri


CLASS = "import mlserver\n\nclass Helper:\n    pass\n\nclass Mine(mlserver.MLModel):\n    pass\n"


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param({"model.py": CLASS}, "model.Mine", id="by its module"),
        pytest.param({"a.py": "x = 1", "b.py": "class B(MLModel): ..."}, "b.B", id="by its bare name"),
        pytest.param({"deep/model.py": CLASS, "z.py": CLASS}, "z.Mine", id="nearest to the top first"),
        pytest.param({"deep/model.py": CLASS}, "deep.model.Mine", id="in a package"),
        pytest.param({"bad.py": "class (", "good.py": CLASS}, "good.Mine", id="beside what is not Python"),
        pytest.param({"a.py": "class A: ..."}, None, id="none"),
    ],
)
def test_a_class_is_found_in_the_sources(sources: Mapping[str, str], expected: str | None) -> None:
    assert mlserver_settings.python_class(sources) == expected


def test_python_comes_before_a_format_where_there_is_a_class() -> None:
    assert write(None, "sklearn", "python", sources={"model.py": CLASS})["implementation"] == "model.Mine"
    assert write(None, "sklearn", "python", sources={"model.py": "x = 1"})["implementation"] == SKLEARN


@pytest.mark.parametrize(
    ("requirements", "sources", "sentence"),
    [
        pytest.param(
            ("mlserver",),
            {},
            "it has no model-settings.json that names an implementation, and the requirements (mlserver) name none of "
            "sklearn, xgboost, lightgbm, mlflow, alibi-detect, alibi-explain, python",
            id="requirements that tell no format",
        ),
        pytest.param(
            ("python",),
            {"a.py": "x = 1"},
            "it has no model-settings.json, and no .py file with a class that extends MLModel",
            id="Python without a class",
        ),
        pytest.param(
            ("python",),
            {"a.py": "def f(:\n"},
            "a .py file is not Python: a.py, line 1: invalid syntax",
            id="Python that is none",
        ),
    ],
)
def test_why_no_settings_can_be_made(requirements: Sequence[str], sources: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(ValueError) as refusal:
        write(None, *requirements, sources=sources)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("value", [[], 3, {"parameters": []}, {"parameters": {"extra": "x"}}])
def test_settings_of_another_shape_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"must (hold|be)"):
        mlserver_settings.parsed(value)


@pytest.mark.parametrize(
    ("given", "workers", "expected"),
    [(None, 0, None), (None, 3, 3), ({"parallel_workers": 0}, 3, None), ({"parallel_workers": 2}, 3, 3), ({}, 1, 1)],
)
def test_each_worker_holds_a_copy(given: Mapping[str, Any] | None, workers: int, expected: int | None) -> None:
    assert mlserver_settings.copies(given, workers) == expected
