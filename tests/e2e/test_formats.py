"""Boosters from a line of YAML to answers through the gateway; and what is said where their library is missing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.yard import Yard, until
from tests.runtime import boosters
from tests.runtime.docs.pasted import pasted

pytestmark = pytest.mark.e2e

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


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    it = Yard(tmp_path)
    yield it
    it.end()


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
