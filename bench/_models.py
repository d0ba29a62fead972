"""The models that are served in the benches, trained here."""

import json
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

FLOWER = (5.1, 3.5, 1.4, 0.2)


def iris(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True)), path)
    return path


def forest(path: Path, trees: int = 100) -> Path:
    """On data without a pattern, so that its trees are deep."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(2000, 20)), random.integers(0, 3, 2000)
    joblib.dump(RandomForestClassifier(trees, random_state=0, n_jobs=1).fit(rows, labels), path)
    return path


def for_mlserver(folder: Path, name: str, model: Path) -> None:
    """A folder that MLServer's repository can hold."""
    place = folder / name
    place.mkdir(parents=True)
    (place / "model.joblib").write_bytes(model.read_bytes())
    settings = {"name": name, "implementation": "mlserver_sklearn.SKLearnModel"}
    (place / "model-settings.json").write_text(json.dumps({**settings, "parameters": {"uri": "./model.joblib"}}))
