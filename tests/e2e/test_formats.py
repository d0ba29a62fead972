"""Each format from a line of YAML to answers through the gateway; and what `describe` says of what cannot be served."""

import catboost
import joblib
import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.e2e.yard import Yard, until
from tests.runtime import boosters
from tests.runtime.docs.pasted import pasted

pytestmark = pytest.mark.e2e

SUMS = """
import weights

class Sums:
    def load(self, folder, factor: float):
        self.weights = weights.read(folder) * factor

    async def predict(self, rows):
        return rows @ self.weights
"""
WEIGHTS = """
import numpy as np

def read(folder):
    return np.loadtxt(folder / "weights.csv")
"""

MANIFEST = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata:
  name: {name}
spec:
  storageUri: {folder}
  requirements: [{requirement}]
  memory: 2Mi
---
"""


def apply(yard: Yard, *models: tuple[str, str]) -> None:
    """(folder below `models`, requirement); the folder's name is the model's."""
    text = "".join(
        MANIFEST.format(name=name, folder=yard.home / "models" / name, requirement=requirement)
        for name, requirement in models
    )
    (yard.home / "models.yaml").write_text(text)
    yard.do("apply", "-f", str(yard.home / "models.yaml"))


def test_boosters_are_served_by_a_line_of_yaml(yard: Yard) -> None:
    trained = boosters.write(yard.home / "models")
    cut = yard.home / "models" / "cut-off" / "model.bst"
    cut.parent.mkdir()
    cut.write_bytes((yard.home / "models/cancer-txt/model.txt").read_bytes()[:4000])
    yard.up("--replicas", "1")
    apply(yard, *((name, model.platform) for name, model in trained.items()), ("cut-off", "lightgbm"))
    with yard.client() as client:
        for name, model in trained.items():
            client.wait(name, timeout_seconds=60)
            for protocol in ("rest", "grpc"):
                answer = client.infer(name, {"x": model.rows}, protocol=protocol)  # type: ignore[arg-type]
                assert np.array_equal(answer[model.usual], model.expected[model.usual]), (name, protocol)
            pasted(f"http://{yard.system().gateway}/v2/models/{name}")
    reason = "LightGBM cannot load model.bst: the file is damaged"
    until(lambda: reason in " ".join(yard.do("describe", "model", "cut-off").split()), "the reason is described")
    capabilities = set(yard.do("get", "servers", "-o", "wide").replace(",", " ").split())
    assert {"xgboost", "lightgbm"} <= capabilities


def test_without_its_library_a_format_is_not_announced_and_a_model_says_which_extra_it_needs(yard: Yard) -> None:
    boosters.write(yard.home / "models")
    hidden = yard.home / "hidden"
    hidden.mkdir()
    # Every process of this system finds no XGBoost.
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['xgboost'] = None\n")
    before = yard.environment.get("PYTHONPATH")
    yard.environment["PYTHONPATH"] = f"{hidden}:{before}" if before else str(hidden)
    yard.up("--replicas", "1")
    apply(yard, ("cancer-json", "xgboost"), ("iris-ubj", "modelyard"), ("iris-txt", "lightgbm"))

    def described(name: str) -> str:
        return " ".join(yard.do("describe", "model", name).split())

    until(lambda: "lacks xgboost" in described("cancer-json"), "nobody can take it")
    sentence = "XGBoost is not installed where this server runs: `pip install 'modelyard[xgboost]'` brings it"
    until(lambda: sentence in described("iris-ubj"), "the extra is named")
    yard.do("wait", "model/iris-txt", "--for", "Available", "--timeout", "60s")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_mlflow_folders_are_served_by_a_line_of_yaml(yard: Yard) -> None:
    from tests.runtime import mlflow_models

    expected = mlflow_models.write(yard.home / "models")
    table, _ = mlflow_models.table()
    columns = {name: table[name].to_numpy() for name in table.columns}
    yard.up("--replicas", "1")
    apply(yard, *((name, "mlflow") for name in expected))
    with yard.client() as client:
        for name, wanted in expected.items():
            client.wait(name, timeout_seconds=90)
            for protocol in ("rest", "grpc"):
                answer = client.infer(name, columns, protocol=protocol)  # type: ignore[arg-type]
                found = np.asarray(answer["predict"]).reshape(-1)
                assert np.allclose(found, np.asarray(wanted).reshape(-1), rtol=1e-6), (name, protocol)


def test_other_formats_are_served_by_a_line_of_yaml(yard: Yard) -> None:
    models = yard.home / "models"
    rows, labels = load_iris(return_X_y=True)
    linear = LogisticRegression(max_iter=1000).fit(rows, labels)
    options = {"iterations": 8, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
    trees = catboost.CatBoostClassifier(**options).fit(rows, labels)
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    for name in ("skops", "cat", "numbered/2", "numbered/10", "own", "settled"):
        (models / name).mkdir(parents=True)
    skops.io.dump(linear, models / "skops/model.skops")
    trees.save_model(str(models / "cat/model.cbm"))
    joblib.dump(linear, models / "numbered/2/model.joblib")
    joblib.dump(LogisticRegression(max_iter=1000).fit(rows, 2 - labels), models / "numbered/10/model.joblib")
    (models / "own/model.py").write_text(SUMS)
    (models / "own/weights.py").write_text(WEIGHTS)
    np.savetxt(models / "own/weights.csv", weights)
    joblib.dump(linear, models / "settled/classifier.joblib")
    joblib.dump(trees, models / "settled/model.joblib")
    (models / "settled/model-settings.json").write_text(
        '{"name": "x", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./classifier.joblib"},'
        ' "inputs": [{"name": "flowers", "datatype": "FP64", "shape": [-1, 4]}]}'
    )
    yard.up("--replicas", "1")
    apply(yard, ("skops", "sklearn"), ("cat", "catboost"), ("settled", "sklearn"))
    extended = MANIFEST.replace("  memory", "{more}  memory")
    more = {
        "own": ("python", "  parameters: [{name: factor, value: '2'}]\n"),
        "numbered": ("sklearn", "  artifactVersion: 2\n"),
    }
    text = "".join(
        extended.format(name=name, folder=models / name, requirement=requirement, more=it)
        for name, (requirement, it) in more.items()
    )
    (yard.home / "more.yaml").write_text(text)
    yard.do("apply", "-f", str(yard.home / "more.yaml"))
    expected = {
        "skops": linear.predict(rows),
        "cat": trees.predict(rows).reshape(-1),
        "settled": linear.predict(rows),
        "own": rows @ weights * 2,
        "numbered": linear.predict(rows),
    }
    with yard.client() as client:
        for name, wanted in expected.items():
            client.wait(name, timeout_seconds=90)
            for protocol in ("rest", "grpc"):
                answer = client.infer(name, {"flowers": rows}, protocol=protocol)  # type: ignore[arg-type]
                assert np.allclose(np.asarray(answer["predict"]).reshape(-1), wanted), (name, protocol)
        probabilities = client.infer("cat", {"x": rows}, outputs=["predict_proba"])
        assert np.allclose(probabilities["predict_proba"], trees.predict_proba(rows))


FAULTS = {
    "for-mlserver": (
        {"model.py": "from mlserver import MLModel\nclass M(MLModel): ..."},
        "model.py is written for MLServer: give it to an MLServer server (requirements: [mlserver])",
    ),
    "huggingface": (
        {"model-settings.json": '{"implementation": "mlserver_huggingface.HuggingFaceRuntime"}'},
        "its implementation mlserver_huggingface.HuggingFaceRuntime is MLServer's",
    ),
    "packages": (
        {"model.py": "class M:\n    def predict(self, x): ...", "requirements.txt": "not-to-be-had>=7"},
        "its requirements.txt asks for Python packages that are not here: not-to-be-had>=7",
    ),
    "no-class": ({"model.py": "x = 1"}, "model.py has no class with a method 'predict' or 'predict_stream'"),
    "raises": (
        {"model.py": "class M:\n    def load(self): raise OSError('no weights')\n    def predict(self, x): ..."},
        "M cannot be loaded: OSError: no weights",
    ),
    "cut-off": ({"model.cbm": "CBM1"}, "CatBoost cannot load model.cbm: "),
    "no-flavors": ({"MLmodel": "a: 1"}, "MLmodel names no flavors"),
    "wrong-settings": (
        {"model.onnx": "", "modelyard-model.json": '{"max_batch_size": "many"}'},
        "'max_batch_size' in modelyard-model.json must be a number of requests",
    ),
    "nothing": ({"readme.md": "hello"}, "no model file found"),
}


def test_what_cannot_be_served_says_why(yard: Yard) -> None:
    for name, (files, _) in FAULTS.items():
        (yard.home / "models" / name).mkdir(parents=True)
        for file, content in files.items():
            (yard.home / "models" / name / file).write_text(content)
    yard.up("--replicas", "1")
    apply(yard, *((name, "modelyard") for name in FAULTS))
    for name, (_, sentence) in FAULTS.items():
        words = " ".join(sentence.split())
        until(lambda name=name, words=words: words in _described(yard, name), f"{name}: {sentence}")  # type: ignore[misc]


def _described(yard: Yard, name: str) -> str:
    return " ".join(yard.do("describe", "model", name).split())
