"""The example on a model's page, pasted into a shell, for models of every kind: zeros would not do for all."""

import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import catboost
import cloudpickle
import httpx
import joblib
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PowerTransformer, StandardScaler

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.models import infer_signature

    class Knows(mlflow.pyfunc.PythonModel):
        """Refuses what is not in its books."""

        def predict(self, context, model_input):  # noqa: ARG002  # MLflow wants these names
            return [{"Bern": 1.0, "Oslo": 2.0}[it] for it in model_input["city"]]


from tests.runtime import artifacts, boosters, conftest, frames
from tests.runtime.conftest import Runtime
from tests.runtime.docs.pasted import pasted

SETTINGS = {
    "implementation": "classes.Adds",
    "inputs": [{"name": "a", "datatype": "FP64", "shape": [-1]}, {"name": "b", "datatype": "INT64", "shape": [-1]}],
}
CLASS = """
class Adds:
    def predict(self, a, b):
        return a + b
"""


def write(repository: Path) -> list[str]:
    """The names of models, one of a kind each."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    rows, labels = load_iris(return_X_y=True)
    table = frames.people()
    yes = frames.labels(table)
    words = table[["city"]].assign(other=np.where(table["age"] > 40, "old", "young"))
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["age", "children"]), ("words", OneHotEncoder(), ["city"])]
    )
    found: dict[str, Any] = {
        "numbers": LogisticRegression(max_iter=1000).fit(rows, labels),
        "frame": frames.pipeline()[0],
        "searched": GridSearchCV(make_pipeline(columns, LogisticRegression()), {}, cv=2).fit(table, yes),
        "one-hot": make_pipeline(OneHotEncoder(), LogisticRegression()).fit(words.to_numpy(), yes),
        "one-hot-numbers": make_pipeline(OneHotEncoder(), LogisticRegression()).fit(np.array([[7, 3], [9, 4]]), [0, 1]),
        "ordinal": OrdinalEncoder().fit(words.to_numpy()),
        "mixed": ColumnTransformer([("n", StandardScaler(), [0, 1]), ("w", OneHotEncoder(), [2])]).fit(
            table.to_numpy(dtype=object)
        ),
        "positive": PowerTransformer(method="box-cox").fit(np.abs(rows) + 1),
        "text": make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good day", "bad night"], [1, 0]),
    }
    for name, model in found.items():
        artifacts.pickled(repository, name, model)
    cat = catboost.CatBoostClassifier(iterations=3, verbose=0, thread_count=1, allow_writing_files=False)
    cat.fit(table, yes, cat_features=["city"])
    (repository / "cat").mkdir()
    cat.save_model(str(repository / "cat/model.cbm"))
    artifacts.file(repository, "class/classes.py", CLASS.encode())
    artifacts.file(repository, "class/modelyard-model.json", json.dumps(SETTINGS).encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        common: dict[str, Any] = {"signature": infer_signature(table), "pip_requirements": []}
        model = make_pipeline(columns, LogisticRegression()).fit(table, yes)
        mlflow.sklearn.save_model(model, repository / "ml-frame", serialization_format="cloudpickle", **common)
        mlflow.pyfunc.save_model(
            repository / "ml-example",
            python_model=Knows(),
            input_example=words[["city"]].assign(city="Oslo")[:2],
            signature=infer_signature(words[["city"]]),
            pip_requirements=[],
        )
    artifacts.file(repository, "onnx/model.onnx", artifacts.identity("FP32"))
    return [*found, "cat", "class", "ml-frame", "ml-example", "onnx", *boosters.write(repository)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, list[str]]]:
    repository = tmp_path_factory.mktemp("repository")
    names = write(repository)
    runtime = conftest.start(repository)
    try:
        yield runtime, names
    finally:
        conftest.stop(runtime)


def test_the_example_of_every_kind_of_model_works(models: tuple[Runtime, list[str]]) -> None:
    runtime, names = models
    refused: dict[str, str] = {}
    for name in names:
        loaded = runtime.load(name)
        assert loaded.status_code == 200, (name, loaded.text)
        try:
            pasted(f"{runtime.http}/v2/models/{name}")
        except AssertionError as error:
            refused[name] = str(error).splitlines()[0]
        document = httpx.get(f"{runtime.http}/v2/models/{name}/docs/openapi.json").json()
        body = document["paths"][f"/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]
        assert httpx.post(f"{runtime.http}/v2/models/{name}/infer", json=body["example"], timeout=30).status_code == 200
    assert refused == {}


def test_the_example_of_a_compiled_model_works(models: tuple[Runtime, list[str]]) -> None:
    runtime, _ = models
    folder = runtime.repository / "compiled"
    folder.mkdir()
    joblib.dump(frames.pipeline()[0], folder / "model.joblib")
    (folder / "modelyard-model.json").write_text('{"optimize": "onnx"}')
    assert runtime.load("compiled").status_code == 200
    deadline = time.monotonic() + 180
    url = f"{runtime.http}/v2/models/compiled"
    while "answers by ONNX" not in (page := httpx.get(f"{url}/docs").text):
        assert "not accelerated" not in page, page
        assert time.monotonic() < deadline, page
        time.sleep(0.2)
    assert pasted(url)["model_name"] == "compiled"
