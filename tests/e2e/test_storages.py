"""A model trained here, uploaded, applied with a secret, and answered through the gateway: for each kind of storage."""

import json
from collections.abc import Mapping
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests import storages
from tests.e2e.yard import Yard, until
from tests.storages import Storage

pytestmark = pytest.mark.e2e

MANIFEST = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata:
  name: {name}
spec:
  storageUri: {uri}
  secretName: {secret}
  requirements: [sklearn]
  memory: 2Mi
"""


def keep_secret(folder: Path, name: str, config: Mapping[str, object]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True, parents=True)
    (folder / f"{name}.json").write_text(json.dumps(config))


def train(folder: Path) -> bytes:
    rows, classes = load_iris(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=500).fit(rows, classes), folder / "model.joblib")
    return (folder / "model.joblib").read_bytes()


def apply(yard: Yard, name: str, uri: str, secret: str) -> None:
    (yard.home / f"{name}.yaml").write_text(MANIFEST.format(name=name, uri=uri, secret=secret))
    yard.do("apply", "-f", str(yard.home / f"{name}.yaml"))


@pytest.mark.parametrize("kind", sorted(storages.STORAGES))
def test_a_model_is_served_from_a_bucket(yard: Yard, kind: str) -> None:
    with storages.STORAGES[kind](yard.home) as storage:
        serve_from(yard, storage)


def serve_from(yard: Yard, storage: Storage) -> None:
    storage.fill("models", {"iris/1/model.joblib": train(yard.home)})
    model, rows = joblib.load(yard.home / "model.joblib"), load_iris().data
    secrets = yard.home / "secrets"
    keep_secret(secrets, "mine", storage.config)
    yard.up("--replicas", "1", "--secrets", str(secrets))
    apply(yard, "iris", f"{storage.scheme}://models/iris", "mine")
    with yard.client() as client:
        client.wait("iris", timeout_seconds=60)
        for protocol in ("rest", "grpc"):
            answer = client.infer("iris", {"x": rows[::30]}, protocol=protocol)  # type: ignore[arg-type]
            assert np.array_equal(answer["predict"].ravel(), model.predict(rows[::30])), protocol
    apply(yard, "nothing", f"{storage.scheme}://models/nothing", "mine")
    apply(yard, "secretless", f"{storage.scheme}://models/iris", "other")

    def described(name: str) -> str:
        return " ".join(yard.do("describe", "model", name).split())

    until(
        lambda: "nothing is there: the bucket models has no nothing" in described("nothing"), "the reason is described"
    )
    until(lambda: f"put it into {secrets}/other.yaml" in described("secretless"), "the missing secret is described")
