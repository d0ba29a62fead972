"""The trees of scikit-learn's estimators, and what is made of their sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from modelyard.runtime.acceleration import trees
from modelyard.runtime.acceleration.errors import NotCompilable
from modelyard.runtime.acceleration.graph import Graph
from modelyard.runtime.acceleration.trees import Tree
from modelyard.wire.oip.nouns import Array


def forest(graph: Graph, rows: str, estimators: Sequence[Any]) -> str:
    """The mean of decision trees: class probabilities [rows, classes] or values [rows, outputs].

    The trees see their rows as FP32, as scikit-learn shows them.
    """
    found = [_tree(it.tree_) for it in estimators]
    total = trees.add_up(graph, _as_single(graph, rows), found, targets=1, mode=trees.AT_MOST, dtype=np.float64)
    if len(found) == 1:
        return total
    return graph.node("Div", [total, graph.constant(np.array(float(len(found))))])


def gradient_boosting(graph: Graph, rows: str, model: Any) -> str:
    """Raw predictions of GradientBoosting*, [rows, outputs]."""
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))
    if model.init_ != "zero" and type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise NotCompilable(f"its gradient boosting starts from a {type(model.init_).__name__}")
    found = [
        _tree(it.tree_, scale=model.learning_rate, target=target)
        for stage in model.estimators_
        for target, it in enumerate(stage)
    ]
    outputs = model.estimators_.shape[1]
    return trees.add_up(
        graph,
        _as_single(graph, rows),
        [*_starts(start[0]), *found],
        targets=outputs,
        mode=trees.AT_MOST,
        dtype=np.float64,
    )


def hist_gradient_boosting(graph: Graph, rows: str, model: Any) -> str:
    """Raw predictions of HistGradientBoosting*, [rows, outputs]."""
    if model.is_categorical_ is not None and np.any(model.is_categorical_):
        raise NotCompilable("its gradient boosting splits by categories")
    found = [
        _hist_tree(predictor.nodes, target) for stage in model._predictors for target, predictor in enumerate(stage)
    ]
    start = np.asarray(model._baseline_prediction, np.float64).reshape(-1)
    return trees.add_up(
        graph, rows, [*_starts(start), *found], targets=len(start), mode=trees.AT_MOST, dtype=np.float64
    )


def _starts(values: Array) -> list[Tree]:
    """What the sums start from, as trees of one leaf: so it is added first, and the last bits are the library's."""
    one = np.array([-1])
    return [
        Tree(np.zeros(1, int), np.zeros(1), one, one, np.zeros(1, bool), np.array([[value]], np.float64), target)
        for target, value in enumerate(values)
    ]


def _tree(tree: Any, scale: float | None = None, target: int = 0) -> Tree:
    values = tree.value[:, 0, :] if tree.n_outputs == 1 else tree.value[:, :, 0]
    return Tree(
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        nan_left=tree.missing_go_to_left.astype(bool),
        values=values if scale is None else values * scale,
        target=target,
    )


def _hist_tree(nodes: Array, target: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        nan_left=nodes["missing_go_to_left"].astype(bool),
        values=nodes["value"].reshape(-1, 1),
        target=target,
    )


def _as_single(graph: Graph, rows: str) -> str:
    single = graph.node("Cast", [rows], to=TensorProto.FLOAT)
    return graph.node("Cast", [single], to=TensorProto.DOUBLE)
