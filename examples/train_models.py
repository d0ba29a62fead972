"""Train the models of the demo on data sets that come with scikit-learn.

    python examples/train_models.py [DIR]            default: examples/models

For each of iris (which of three species), breast-cancer (malignant or benign) and diabetes (disease progression):

    <name>-sklearn/model.joblib    the scikit-learn pipeline
    <name>-onnx/model.onnx         the same, converted; written only where skl2onnx is installed (development extra)

The ONNX files are checked in. The joblib files are not: scikit-learn promises to read them only in the version that
wrote them, so they are trained where they are used, which takes a second. The training is deterministic.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn import datasets
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 7
HERE = Path(__file__).resolve().parent / "models"


@dataclass(frozen=True)
class Example:
    """A fitted model with rows that it has not seen, and what is true of them."""

    name: str
    model: Pipeline
    rows: np.ndarray  # [n, features], float64
    truth: np.ndarray  # [n]
    labels: tuple[str, ...]  # names of the classes; empty for a regressor

    def in_words(self, value: float) -> str:
        return self.labels[int(value)] if self.labels else f"{value:.0f}"


def train_all() -> Mapping[str, Example]:
    examples = (
        _train("iris", datasets.load_iris(), LogisticRegression(max_iter=1000, random_state=SEED)),
        _train("breast-cancer", datasets.load_breast_cancer(), LogisticRegression(max_iter=1000, random_state=SEED)),
        _train("diabetes", datasets.load_diabetes(), Ridge(alpha=1.0, random_state=SEED)),
    )
    return {example.name: example for example in examples}


def _train(name: str, data: Any, estimator: Any) -> Example:
    labels = tuple(str(it) for it in getattr(data, "target_names", ()))
    train, rows, target, truth = train_test_split(
        data.data, data.target, test_size=0.25, random_state=SEED, stratify=data.target if labels else None
    )
    model = make_pipeline(StandardScaler(), estimator).fit(train, target)
    return Example(name, model, rows, truth, labels)


def save_sklearn(example: Example, directory: Path) -> Path:
    """Returns the model's folder: what its URI names."""
    folder = directory / f"{example.name}-sklearn"
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(example.model, folder / "model.joblib")
    return folder


def save_onnx(example: Example, directory: Path) -> Path:
    from skl2onnx import to_onnx  # only the development extra has it

    folder = directory / f"{example.name}-onnx"
    folder.mkdir(parents=True, exist_ok=True)
    # Without zipmap: probabilities as one tensor, not as a list of dictionaries, which V2 cannot carry.
    options = {id(example.model): {"zipmap": False}} if example.labels else None
    graph = to_onnx(example.model, example.rows[:1].astype(np.float32), options=options, target_opset=17)
    graph.graph.name = example.name
    (folder / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", type=Path, default=HERE, metavar="DIR")
    directory = parser.parse_args().directory
    for example in train_all().values():
        score = example.model.score(example.rows, example.truth)
        measure = "accuracy" if example.labels else "R²"
        folders = [save_sklearn(example, directory)]
        if find_spec("skl2onnx") is not None:
            folders.append(save_onnx(example, directory))
        for folder in folders:
            print(f"{folder}  ({measure} on unseen rows: {score:.3f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
