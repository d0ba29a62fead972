"""Ensembles of binary decision trees as ONNX, deciding bit for bit as the libraries do.

Thresholds and leaves keep their 64 bits (TreeEnsemble of ai.onnx.ml 5), and leaves are added up in the trees' order.
A leaf of ONNX holds one number; where it has to hold several (the probabilities of a forest), trees give the number
of the leaf, and the rows of a table are added up:

    rows ──▶ TreeEnsemble ──▶ a leaf for each tree ──▶ Gather (table of leaves) ──▶ ReduceSum
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from modelyard.runtime.acceleration.graph import ML, Graph, tensor
from modelyard.wire.oip.nouns import Array

AT_MOST, LESS = 0, 1  # BRANCH_LEQ and BRANCH_LT: which comparison leads to the left
_SUM, _NO_TRANSFORM = 1, 0


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One element for each node, the root first. `left` and `right`: places of children, negative at a leaf.

    `nan_left`: whether NaN goes left. `values`: [nodes, width], read at leaves. `target`: the output that a single
    value counts for.
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    nan_left: Array
    values: Array
    target: int = 0


def add_up(graph: Graph, rows: str, trees: Sequence[Tree], *, targets: int, mode: int, dtype: type[np.floating]) -> str:
    """The sums of the leaves that `rows` reach, [rows, targets]; `rows` are of `dtype`, in which is added up, too."""
    width = trees[0].values.shape[1]
    if width == 1:
        weights = [it.values[it.left < 0, 0] for it in trees]
        return _ensemble(graph, rows, trees, weights, [it.target for it in trees], targets, mode, dtype)
    sizes = [int((it.left < 0).sum()) for it in trees]
    starts = np.cumsum([0, *sizes[:-1]])
    places = [start + np.arange(size) for start, size in zip(starts, sizes, strict=True)]
    # Places are exact in FP64 up to 2**53.
    reached = _ensemble(graph, rows, trees, places, range(len(trees)), len(trees), mode, np.float64)
    table = graph.constant(np.concatenate([it.values[it.left < 0] for it in trees]).astype(dtype))
    leaves = graph.node("Gather", [table, graph.node("Cast", [reached], to=TensorProto.INT64)])
    return graph.node("ReduceSum", [leaves, graph.constant(np.array([1]))], keepdims=0)


def _ensemble(
    graph: Graph,
    rows: str,
    trees: Sequence[Tree],
    weights: Sequence[Array],
    targets_of: Sequence[int],
    targets: int,
    mode: int,
    dtype: type[np.floating],
) -> str:
    """`weights`: of each tree's leaves, in the order of its nodes."""
    trees = [_with_a_node(it) for it in trees]
    weights = [it if len(it) > 1 else np.repeat(it, 2) for it in weights]
    inner = [it.left >= 0 for it in trees]
    nodes_before = np.cumsum([0, *(int(it.sum()) for it in inner)])
    leaves_before = np.cumsum([0, *(int((~it).sum()) for it in inner)])
    parts: dict[str, list[Array]] = {name: [] for name in _NODES}
    for number, (it, is_inner) in enumerate(zip(trees, inner, strict=True)):
        # Of each node its place among the inner nodes, or among the leaves, of all trees.
        place = np.where(
            is_inner,
            np.cumsum(is_inner) - 1 + nodes_before[number],
            np.cumsum(~is_inner) - 1 + leaves_before[number],
        )
        left, right = it.left[is_inner], it.right[is_inner]
        parts["nodes_featureids"].append(it.feature[is_inner])
        parts["nodes_splits"].append(it.threshold[is_inner])
        parts["nodes_missing_value_tracks_true"].append(it.nan_left[is_inner])
        parts["nodes_truenodeids"].append(place[left])
        parts["nodes_falsenodeids"].append(place[right])
        parts["nodes_trueleafs"].append(~is_inner[left])
        parts["nodes_falseleafs"].append(~is_inner[right])
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    splits = joined.pop("nodes_splits")
    targetids = np.concatenate([np.full(len(it), target) for it, target in zip(weights, targets_of, strict=True)])
    return graph.node(
        "TreeEnsemble",
        [rows],
        domain=ML,
        n_targets=targets,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        tree_roots=nodes_before[:-1].tolist(),
        nodes_splits=tensor(splits.astype(dtype), "splits"),
        nodes_modes=tensor(np.full(len(splits), mode, np.uint8), "modes"),
        leaf_targetids=targetids.tolist(),
        leaf_weights=tensor(np.concatenate(weights).astype(dtype), "weights"),
        **{name: array.astype(np.int64).tolist() for name, array in joined.items()},
    )


_NODES = (
    "nodes_featureids",
    "nodes_splits",
    "nodes_missing_value_tracks_true",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_trueleafs",
    "nodes_falseleafs",
)


def _with_a_node(tree: Tree) -> Tree:
    """A tree that is one leaf decides between that leaf and the same once more."""
    if len(tree.left) > 1:
        return tree
    return Tree(
        feature=np.zeros(3, np.int64),
        threshold=np.zeros(3),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        nan_left=np.zeros(3, bool),
        values=np.repeat(tree.values, 3, axis=0),
        target=tree.target,
    )
