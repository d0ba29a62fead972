"""A model that asks to be compiled, from a line of YAML through the gateway to `describe`."""

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tests.e2e.yard import Yard, until

pytestmark = pytest.mark.e2e

MANIFEST = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata:
  name: {name}
spec:
  storageUri: {folder}
  requirements: [sklearn]
  memory: 2Mi
  parameters:
    - name: optimize
      value: onnx
---
"""


def test_a_manifest_asks_for_it_and_describe_tells_what_came_of_it(yard: Yard) -> None:
    rows, labels = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    forest = RandomForestClassifier(20, random_state=0).fit(rows, names)
    # Of several outputs, which is not compiled.
    twice = RandomForestClassifier(3, random_state=0).fit(rows, np.column_stack([labels, labels]))
    text = ""
    for name, model in (("forest", forest), ("twice", twice), ("linear", LogisticRegression().fit(rows / 10, labels))):
        folder = yard.home / "models" / name
        folder.mkdir(parents=True)
        joblib.dump(model, folder / "model.joblib")
        text += MANIFEST.format(name=name, folder=folder)
    (yard.home / "models.yaml").write_text(text)
    yard.up("--replicas", "1")
    yard.do("apply", "-f", str(yard.home / "models.yaml"))

    def described(name: str) -> str:
        return " ".join(yard.do("describe", "model", name).split())

    with yard.client() as client:
        for name in ("forest", "twice", "linear"):
            client.wait(name, timeout_seconds=60)
        before = client.infer("forest", {"x": rows})
        reason = "not accelerated: a RandomForestClassifier of several outputs is not compiled"
        until(lambda: reason in described("twice"), "the reason is described")
        until(lambda: "answers by ONNX since" in described("forest"), "the switch is described")
        assert ", 0 labels differ" in described("forest")
        for protocol in ("rest", "grpc"):
            after = client.infer("forest", {"x": rows}, protocol=protocol)  # type: ignore[arg-type]
            assert after["predict"].dtype == before["predict"].dtype
            assert after["predict"].tolist() == before["predict"].tolist()
            assert [it.decode() for it in after["predict"].reshape(-1)] == list(forest.predict(rows))
        assert client.infer("twice", {"x": rows})["predict"].tolist() == twice.predict(rows).tolist()
