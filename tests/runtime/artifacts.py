"""Real models, trained and converted: written into the folders of a repository."""

import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from modelyard.wire.oip.loading import LoadOrder
from tests.runtime import estimators

ROW = [5.1, 3.5, 1.4, 0.2]


def write(repository: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    linear = LogisticRegression(max_iter=1000).fit(rows, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own
        converted = to_onnx(linear, rows[:1].astype(np.float32), options={"zipmap": False}).SerializeToString()
        zipmap = to_onnx(linear, rows[:1].astype(np.float32)).SerializeToString()
    file(repository, "iris-onnx/model.onnx", converted)
    file(repository, "iris-zipmap/model.onnx", zipmap)
    pickled(repository, "iris", linear)
    pickled(repository, "iris-named", RandomForestClassifier(5, random_state=0).fit(rows, names[labels]))
    pickled(repository, "scaler", StandardScaler().fit(rows))
    pickled(repository, "diabetes", LinearRegression().fit(*load_diabetes(return_X_y=True)))
    pickled(repository, "fails", estimators.Fails())
    pickled(repository, "ends", estimators.Ends())
    pickled(repository, "ends-while-unpickled", estimators.EndsWhileUnpickled())
    pickled(repository, "no-model", estimators.NoModel())
    for datatype in ONNX_TYPES:
        file(repository, f"identity-{datatype.lower()}/model.onnx", identity(datatype))
    file(repository, "broken/model.onnx", b"this is no graph")
    file(repository, "broken-pickle/model.joblib", b"this is no pickle")
    (repository / "empty").mkdir()


ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def identity(datatype: str) -> bytes:
    """A graph that answers its input, of any size in one dimension."""
    kind = ONNX_TYPES[datatype]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", kind, ["n"])],
        [helper.make_tensor_value_info("y", kind, ["n"])],
    )
    return graph_bytes(graph)


def graph_bytes(graph: Any) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def pickled(repository: Path, name: str, model: Any) -> None:
    path = repository / name / "model.joblib"
    path.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, path)


def file(repository: Path, path: str, content: bytes) -> None:
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_bytes(content)


def order(**parameters: str) -> LoadOrder:
    """A load with these parameters of a manifest."""
    return LoadOrder(parameters=parameters)
