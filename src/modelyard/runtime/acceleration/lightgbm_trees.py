"""LightGBM's trees, from the text that its boosters save, as ONNX. LightGBM decides and adds up in FP64."""

from collections.abc import Mapping, Sequence

import numpy as np

from modelyard.runtime.acceleration import trees
from modelyard.runtime.acceleration.errors import NotCompilable
from modelyard.runtime.acceleration.graph import Graph
from modelyard.runtime.acceleration.trees import Tree

BINARY = ("binary", "cross_entropy")
ONE_BY_ONE = "multiclassova"
SOFTMAX = "multiclass"
_EXPONENTIAL = ("poisson", "gamma", "tweedie")
_AS_IT_IS = (
    "regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom", "",
)  # fmt: skip

# Bits of a node's decision type.
_CATEGORICAL, _DEFAULT_LEFT, _MISSING, _ZERO, _NAN = 1, 2, 0b1100, 0b0100, 0b1000


class Booster:
    """A saved booster, as far as a graph of it is made."""

    def __init__(self, saved: str) -> None:
        """Raises `NotCompilable`."""
        head, *blocks = saved.partition("\nend of trees")[0].split("\nTree=")
        said = _values(head)
        self.objective, *details = (said.get("objective") or "").split(" ")
        self._sigmoid = float(next((it[8:] for it in details if it.startswith("sigmoid:")), 1.0))
        known = (*BINARY, ONE_BY_ONE, SOFTMAX, *_EXPONENTIAL, *_AS_IT_IS)
        if self.objective not in known or "sqrt" in details:
            raise NotCompilable(f"LightGBM's objective '{said['objective']}' is not compiled")
        self.features = int(said["max_feature_idx"]) + 1
        self.outputs = int(said["num_tree_per_iteration"])
        self._averages = "average_output" in head.splitlines()
        self.trees = [_tree(_values(block), number % self.outputs) for number, block in enumerate(blocks)]
        if not self.trees:
            raise NotCompilable("the booster has no trees")

    def margins(self, graph: Graph, rows: str) -> str:
        """Before the objective's transformation, [rows, outputs]; `rows` are FP64."""
        total = trees.add_up(graph, rows, self.trees, targets=self.outputs, mode=trees.AT_MOST, dtype=np.float64)
        if not self._averages:
            return total
        return graph.node("Div", [total, graph.constant(np.array(float(len(self.trees) // self.outputs)))])

    def transformed(self, graph: Graph, margins: str) -> str:
        """What the booster predicts."""
        if self.objective in (*BINARY, ONE_BY_ONE):
            if self._sigmoid != 1.0:
                margins = graph.node("Mul", [margins, graph.constant(np.array(self._sigmoid))])
            return graph.node("Sigmoid", [margins])
        if self.objective == SOFTMAX:
            return graph.node("Softmax", [margins], axis=1)
        return graph.node("Exp", [margins]) if self.objective in _EXPONENTIAL else margins


def _values(block: str) -> Mapping[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in block.splitlines())}


def _tree(said: Mapping[str, str], target: int) -> Tree:
    """Inner nodes come first here, then the leaves, as LightGBM numbers them: -1 is leaf 0."""
    if said.get("is_linear", "0") != "0":
        raise NotCompilable("its trees have linear models in their leaves")
    leaf_values = _floats(said["leaf_value"])
    leaves = len(leaf_values)
    inner = leaves - 1
    kinds = np.array(_ints(said["decision_type"]) if inner else [], np.int64)
    thresholds = np.array(_floats(said["threshold"]) if inner else [], np.float64)
    if (kinds & _CATEGORICAL).any():
        raise NotCompilable("its trees split by categories")
    default_left, missing = (kinds & _DEFAULT_LEFT) != 0, kinds & _MISSING
    zero_left = thresholds >= 0  # where a zero goes, and with it NaN unless it is told apart
    if ((missing == _ZERO) & (default_left != zero_left)).any():
        raise NotCompilable("its trees take zeros for missing values")
    children = [np.array(_ints(said[name]) if inner else [], np.int64) for name in ("left_child", "right_child")]
    left, right = (np.where(it >= 0, it, inner + ~it) for it in children)
    none = np.full(leaves, -1)
    return Tree(
        feature=np.concatenate(
            [np.array(_ints(said["split_feature"]) if inner else [], np.int64), np.zeros(leaves, np.int64)]
        ),
        threshold=np.concatenate([thresholds, np.zeros(leaves)]),
        left=np.concatenate([left, none]),
        right=np.concatenate([right, none]),
        nan_left=np.concatenate([np.where(missing == _NAN, default_left, zero_left), np.zeros(leaves, bool)]),
        values=np.concatenate([np.zeros(inner), leaf_values]).reshape(-1, 1),
        target=target,
    )


def _floats(text: str) -> Sequence[float]:
    return [float(it) for it in text.split()]


def _ints(text: str) -> Sequence[int]:
    return [int(it) for it in text.split()]
