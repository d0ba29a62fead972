"""What MLServer is told of a model: the `model-settings.json` in its folder, given or made. Pure.

Which folder of an artifact that is: `agent/choose.py`. Paths are relative to it, with "/". Problems are `ValueError`,
one sentence that goes on from "cannot use <uri>: ".
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from modelyard.agent import choose

FILE = choose.MLSERVER

# The version inside MLServer: the name holds ours.
VERSION = "1"
PYTHON = "python"
IMPLEMENTATIONS: Mapping[str, str] = {
    "sklearn": "mlserver_sklearn.SKLearnModel",
    "xgboost": "mlserver_xgboost.XGBoostModel",
    "lightgbm": "mlserver_lightgbm.LightGBMModel",
    "mlflow": "mlserver_mlflow.MLflowRuntime",
    "alibi-detect": "mlserver_alibi_detect.AlibiDetectRuntime",
    "alibi-explain": "mlserver_alibi_explain.AlibiExplainRuntime",
}
# Names under which these runtimes find a model by themselves are among them; one file of another name is named to them.
WEIGHTS: Mapping[str, tuple[str, ...]] = {
    "sklearn": (".joblib", ".pickle", ".pkl"),
    "xgboost": (".bst", ".json", ".ubj"),
    "lightgbm": (".bst", ".txt"),
}
_BASE_CLASS = "MLModel"


def parsed(value: Any) -> dict[str, Any]:
    """Checks what the rest relies on."""
    if not isinstance(value, dict):
        raise ValueError(f"{FILE} must hold a JSON object")
    parameters = value.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise ValueError(f"'parameters' in {FILE} must be an object")
    if parameters and not isinstance(parameters.get("extra") or {}, dict):
        raise ValueError(f"'parameters.extra' in {FILE} must be an object")
    return value


def written(
    given: Mapping[str, Any] | None,
    name: str,
    *,
    requirements: frozenset[str],
    parameters: Iterable[tuple[str, str]],
    sources: Mapping[str, str],
    files: Sequence[str],
) -> dict[str, Any]:
    """The settings as MLServer will read them. `given`: as in the artifact, checked by `parsed`; None: there are none.

    `sources`: the model's .py files by path, read only where a class has to be found. `files`: all its paths.
    """
    settings = dict(given or {})
    inner = dict(settings.get("parameters") or {})
    if not settings.get("implementation"):
        settings["implementation"], uri = _implementation(requirements, sources, files)
        if uri and not inner.get("uri"):
            inner["uri"] = uri
    extra = {**(inner.get("extra") or {}), **dict(parameters)}
    if extra:
        inner["extra"] = extra
    inner["version"] = VERSION
    return {**settings, "name": name, "parameters": inner}


def _implementation(
    requirements: frozenset[str], sources: Mapping[str, str], files: Sequence[str]
) -> tuple[str, str | None]:
    """The runtime, and the model's file where it would not find it by itself."""
    if PYTHON in requirements and (found := python_class(sources)) is not None:
        return found, None
    format_ = next((it for it in IMPLEMENTATIONS if it in requirements), None)
    if format_ is not None:
        weights = [it for it in files if "/" not in it and PurePosixPath(it).suffix in WEIGHTS.get(format_, ())]
        return IMPLEMENTATIONS[format_], f"./{weights[0]}" if len(weights) == 1 else None
    if PYTHON in requirements:
        raise ValueError(f"it has no {FILE}, and no .py file with a class that extends {_BASE_CLASS}")
    said = ", ".join(sorted(requirements)) or "none"
    known = ", ".join((*IMPLEMENTATIONS, PYTHON))
    raise ValueError(
        f"it has no {FILE} that names an implementation, and the requirements ({said}) name none of {known}"
    )


def python_class(sources: Mapping[str, str]) -> str | None:
    """`module.Class` of the first class that extends MLModel, files nearest to the top first."""
    problems = []
    for path in sorted(sources, key=lambda it: (it.count("/"), it)):
        try:
            tree = ast.parse(sources[path])
        except (SyntaxError, ValueError) as error:
            where = f"{path}, line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else path
            problems.append(f"{where}: {error.msg if isinstance(error, SyntaxError) else error}")
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(_last_name(base) == _BASE_CLASS for base in node.bases):
                return f"{path.removesuffix('.py').replace('/', '.')}.{node.name}"
    if problems:
        raise ValueError(f"a .py file is not Python: {problems[0]}")
    return None


def copies(given: Mapping[str, Any] | None, workers: int) -> int | None:
    """How many times MLServer holds the model, given its number of workers; None: once, in its own process."""
    own = (given or {}).get("parallel_workers")
    if workers <= 0 or (isinstance(own, int) and own <= 0):
        return None
    return workers


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
    return ""
