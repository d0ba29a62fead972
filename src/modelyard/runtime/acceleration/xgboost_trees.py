"""XGBoost's trees, from the JSON that its boosters save, as ONNX.

XGBoost decides and adds up in FP32, from the base score on and tree by tree; so does the graph.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from modelyard.runtime.acceleration import trees
from modelyard.runtime.acceleration.errors import NotCompilable
from modelyard.runtime.acceleration.graph import Graph
from modelyard.runtime.acceleration.trees import Tree
from modelyard.wire.oip.nouns import Array

LOGISTIC = ("binary:logistic", "reg:logistic")
SOFTMAX = ("multi:softprob", "multi:softmax")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie")
_AS_IT_IS = (
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
    "binary:logitraw",
    "rank:pairwise",
    "rank:ndcg",
    "rank:map",
)


class Booster:
    """A saved booster, as far as a graph of it is made."""

    def __init__(self, saved: bytes, iterations: int | None = None) -> None:
        """`iterations`: how many of its rounds predict; None: all. Raises `NotCompilable`."""
        learner = json.loads(saved)["learner"]
        booster = learner["gradient_booster"]
        self.objective: str = learner["objective"]["name"]
        if booster["name"] != "gbtree":
            raise NotCompilable(f"boosters of XGBoost's kind '{booster['name']}' are not compiled")
        if self.objective not in (*LOGISTIC, *SOFTMAX, *_EXPONENTIAL, *_AS_IT_IS):
            raise NotCompilable(f"XGBoost's objective '{self.objective}' is not compiled")
        self.features = int(learner["learner_model_param"]["num_feature"])
        model, parameters = booster["model"], learner["learner_model_param"]
        self.outputs = max(int(parameters["num_class"]), int(parameters.get("num_target", 1)), 1)
        until = len(model["trees"]) if iterations is None else model["iteration_indptr"][iterations]
        self.trees = [
            _tree(it, target) for it, target in zip(model["trees"][:until], model["tree_info"][:until], strict=True)
        ]
        if not self.trees:
            raise NotCompilable("the booster has no trees")
        self._start = _margins(parameters["base_score"], self.objective, self.outputs)

    def margins(self, graph: Graph, rows: str) -> str:
        """Before the objective's transformation, [rows, outputs]; `rows` are FP32."""
        one, no = np.array([-1]), np.zeros(1, bool)
        starts = [
            Tree(np.zeros(1, int), np.zeros(1), one, one, no, np.array([[value]]), target)
            for target, value in enumerate(self._start)
        ]
        every = [*starts, *self.trees]
        return trees.add_up(graph, rows, every, targets=self.outputs, mode=trees.LESS, dtype=np.float32)

    def transformed(self, graph: Graph, margins: str) -> str:
        """What the booster predicts; of several classes the probabilities, whatever the objective."""
        if self.objective in LOGISTIC:
            return _in_double(graph, "Sigmoid", margins)
        if self.objective in SOFTMAX:
            return _in_double(graph, "Softmax", margins, axis=1)
        return _in_double(graph, "Exp", margins) if self.objective in _EXPONENTIAL else margins


@dataclass(frozen=True, slots=True)
class Opened:
    """`classes`: of a file that a classifier saved, which answers labels; None: it answers as a booster."""

    saved: bytes
    classes: int | None
    iterations: int | None


def opened(path: Path) -> Opened:
    """A file as `formats.xgboost` understands it."""
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(path.read_bytes()))
    kind = json.loads(booster.attr("scikit_learn") or "{}").get("_estimator_type")
    saved = bytes(booster.save_raw("json"))
    best = booster.attr("best_iteration") if kind is not None else None
    outputs = Booster(saved).outputs
    return Opened(saved, max(outputs, 2) if kind == "classifier" else None, None if best is None else int(best) + 1)


def of_estimator(model: Any) -> Booster:
    """Of one of XGBoost's scikit-learn classes, which stop at their best iteration."""
    best = getattr(model, "best_iteration", None)
    return Booster(bytes(model.get_booster().save_raw("json")), None if best is None else best + 1)


def _tree(saved: Mapping[str, Any], target: int) -> Tree:
    if any(saved["split_type"]):
        raise NotCompilable("its trees split by categories")
    if int(saved["tree_param"].get("size_leaf_vector") or 1) > 1:
        raise NotCompilable("its trees have leaves of several values")
    # What a node splits at is, at a leaf, its value.
    conditions = np.array(saved["split_conditions"], np.float32)
    return Tree(
        feature=np.array(saved["split_indices"]),
        threshold=conditions,
        left=np.array(saved["left_children"]),
        right=np.array(saved["right_children"]),
        nan_left=np.array(saved["default_left"], bool),
        values=conditions.reshape(-1, 1),
        target=target,
    )


def _margins(base_score: str, objective: str, outputs: int) -> Array:
    """The base score as the trees' sum has it. XGBoost 3 writes a list, of as many as there are outputs."""
    found = json.loads(base_score) if base_score.startswith("[") else [float(base_score)]
    score = np.array(found, np.float32)
    if objective in LOGISTIC:
        score = -np.log(np.float32(1) / score - np.float32(1))
    elif objective in _EXPONENTIAL:
        score = np.log(score)
    return np.broadcast_to(score, (outputs,))


def _in_double(graph: Graph, op: str, single: str, **attributes: Any) -> str:
    """Rounded to FP32 once, at the end."""
    double = graph.node("Cast", [single], to=TensorProto.DOUBLE)
    return graph.node("Cast", [graph.node(op, [double], **attributes)], to=TensorProto.FLOAT)
