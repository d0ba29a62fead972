"""Our converters for skl2onnx: tree ensembles that decide exactly as their libraries do, XGBoost's and LightGBM's
scikit-learn classes, and scalers that divide as scikit-learn does."""

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import skl2onnx
import sklearn.ensemble
import sklearn.impute
import sklearn.tree
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)

from modelyard.runtime.acceleration import lightgbm_trees, sklearn_trees, xgboost_trees
from modelyard.runtime.acceleration.errors import NotCompilable
from modelyard.runtime.acceleration.graph import ConverterGraph, Graph

# What a model puts out for rows: the probabilities of its classes, or its values.
Outcome: TypeAlias = Callable[[ConverterGraph, str, Any], str]

_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


def register() -> None:
    """For the whole process."""
    ensemble, tree = sklearn.ensemble, sklearn.tree
    for kind in (ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier):
        _classifier(kind, _forest)
    for kind in (ensemble.RandomForestRegressor, ensemble.ExtraTreesRegressor):
        _regressor(kind, _forest)
    for kind in (tree.DecisionTreeClassifier, tree.ExtraTreeClassifier):
        _classifier(kind, _one_tree)
    for kind in (tree.DecisionTreeRegressor, tree.ExtraTreeRegressor):
        _regressor(kind, _one_tree)
    _classifier(ensemble.GradientBoostingClassifier, _gradient_boosting)
    _regressor(ensemble.GradientBoostingRegressor, sklearn_trees.gradient_boosting)
    _classifier(ensemble.HistGradientBoostingClassifier, _hist_gradient_boosting)
    _regressor(ensemble.HistGradientBoostingRegressor, _hist_regression)
    skl2onnx.update_registered_converter(
        sklearn.impute.SimpleImputer, "ModelyardSimpleImputer", _imputer_types, _convert_imputer
    )
    if importlib.util.find_spec("xgboost") is not None:
        import xgboost

        for kind in (xgboost.XGBClassifier, xgboost.XGBRFClassifier):
            _classifier(kind, _xgboost)
        for kind in (xgboost.XGBRegressor, xgboost.XGBRFRegressor, xgboost.XGBRanker):
            _regressor(kind, _xgboost)
    if importlib.util.find_spec("lightgbm") is not None:
        import lightgbm

        _classifier(lightgbm.LGBMClassifier, _lightgbm)
        for kind in (lightgbm.LGBMRegressor, lightgbm.LGBMRanker):
            _regressor(kind, _lightgbm)


def _classifier(kind: type, outcome: Outcome) -> None:
    skl2onnx.update_registered_converter(
        kind,
        f"Modelyard{kind.__name__}",
        _classifier_types,
        partial(_convert_classifier, outcome),
        options=_OPTIONS,
    )


def _regressor(kind: type, outcome: Outcome) -> None:
    skl2onnx.update_registered_converter(
        kind,
        f"Modelyard{kind.__name__}",
        _regressor_types,
        partial(_convert_regressor, outcome),
    )


def _classifier_types(operator: Any) -> None:
    calculate_linear_classifier_output_shapes(operator)
    operator.outputs[1].type = _like_input(operator, len(operator.raw_operator.classes_))


def _regressor_types(operator: Any) -> None:
    calculate_linear_regressor_output_shapes(operator)
    operator.outputs[0].type = _like_input(operator, getattr(operator.raw_operator, "n_outputs_", 1))


def _like_input(operator: Any, width: int) -> Any:
    """FP64 where the rows are; skl2onnx knows no forests in FP64, and declares theirs as FP32."""
    kind = DoubleTensorType if isinstance(operator.inputs[0].type, DoubleTensorType) else FloatTensorType
    return kind([None, width])


def _convert_classifier(outcome: Outcome, scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    if isinstance(model.classes_, list):
        raise NotCompilable(f"a {type(model).__name__} of several outputs is not compiled")
    graph = ConverterGraph(scope, container)
    probabilities = outcome(graph, _rows(graph, operator), model)
    first = graph.node("ArgMax", [probabilities], axis=1, keepdims=0)
    graph.give(graph.node("Gather", [graph.constant(_classes(model)), first]), operator.outputs[0])
    graph.give(_as_declared(graph, probabilities, operator.outputs[1]), operator.outputs[1])


def _convert_regressor(outcome: Outcome, scope: Any, operator: Any, container: Any) -> None:
    graph = ConverterGraph(scope, container)
    values = outcome(graph, _rows(graph, operator), operator.raw_operator)
    graph.give(_as_declared(graph, values, operator.outputs[0]), operator.outputs[0])


def _imputer_types(operator: Any) -> None:
    given = operator.inputs[0].type
    if len(operator.inputs) != 1 or not isinstance(given, DoubleTensorType | FloatTensorType):
        raise NotCompilable("its imputer takes other than numbers")
    operator.outputs[0].type = type(given)([None, len(operator.raw_operator.statistics_)])


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """skl2onnx has one for FP32 only."""
    model = operator.raw_operator
    statistics = np.asarray(model.statistics_)
    if model.add_indicator or not _is_nan(model.missing_values) or statistics.dtype.kind != "f":
        raise NotCompilable("its imputer replaces other than NaN by numbers, or tells where it did")
    if np.isnan(statistics).any():
        raise NotCompilable("its imputer leaves out columns that were empty")
    graph = ConverterGraph(scope, container)
    rows = operator.inputs[0]
    single = isinstance(rows.type, FloatTensorType)
    filling = graph.constant(statistics.astype(np.float32 if single else np.float64).reshape(1, -1))
    missing = graph.node("IsNaN", [rows.full_name])
    graph.give(graph.node("Where", [missing, filling, rows.full_name]), operator.outputs[0])


def _is_nan(value: Any) -> bool:
    return bool(value != value)


def _classes(model: Any) -> Any:
    classes = np.asarray(model.classes_)
    if classes.dtype.kind in "iub":
        return classes.astype(np.int64)
    if classes.dtype.kind in "OU":
        return classes.astype(object)
    raise NotCompilable(f"its labels are of the type {classes.dtype}")


def _rows(graph: ConverterGraph, operator: Any) -> str:
    """The operator's input as FP64."""
    if len(operator.inputs) != 1:
        raise NotCompilable(f"a {type(operator.raw_operator).__name__} on separate columns is not compiled")
    given = operator.inputs[0]
    if isinstance(given.type, DoubleTensorType):
        return str(given.full_name)
    return graph.node("Cast", [given.full_name], to=TensorProto.DOUBLE)


def _as_declared(graph: ConverterGraph, values: str, variable: Any) -> str:
    kind = TensorProto.FLOAT if isinstance(variable.type, FloatTensorType) else TensorProto.DOUBLE
    return graph.node("Cast", [values], to=kind)


def _forest(graph: ConverterGraph, rows: str, model: Any) -> str:
    return sklearn_trees.forest(graph, rows, model.estimators_)


def _one_tree(graph: ConverterGraph, rows: str, model: Any) -> str:
    return sklearn_trees.forest(graph, rows, [model])


def _gradient_boosting(graph: ConverterGraph, rows: str, model: Any) -> str:
    raw = sklearn_trees.gradient_boosting(graph, rows, model)
    if model.loss == "exponential":
        raw = graph.node("Mul", [raw, graph.constant(np.array(2.0))])
    return _probabilities(graph, raw, len(model.classes_))


def _hist_gradient_boosting(graph: ConverterGraph, rows: str, model: Any) -> str:
    raw = sklearn_trees.hist_gradient_boosting(graph, rows, model)
    return _probabilities(graph, raw, len(model.classes_))


def _hist_regression(graph: ConverterGraph, rows: str, model: Any) -> str:
    raw = sklearn_trees.hist_gradient_boosting(graph, rows, model)
    return graph.node("Exp", [raw]) if model.loss in ("poisson", "gamma") else raw


def _xgboost(graph: ConverterGraph, rows: str, model: Any) -> str:
    booster = xgboost_trees.of_estimator(model)
    margins = booster.margins(graph, graph.node("Cast", [rows], to=TensorProto.FLOAT))
    found = booster.transformed(graph, margins)
    return both(graph, found, np.float32) if booster.objective in xgboost_trees.LOGISTIC else found


def _lightgbm(graph: ConverterGraph, rows: str, model: Any) -> str:
    booster = lightgbm_trees.Booster(model.booster_.model_to_string())
    found = booster.transformed(graph, booster.margins(graph, rows))
    return both(graph, found, np.float64) if booster.objective == "binary" else found


def _probabilities(graph: ConverterGraph, raw: str, classes: int) -> str:
    if classes == 2:
        return both(graph, graph.node("Sigmoid", [raw]), np.float64)
    return graph.node("Softmax", [raw], axis=1)


def both(graph: Graph, second: str, dtype: type) -> str:
    """Both classes' probabilities, of the second's."""
    first = graph.node("Sub", [graph.constant(np.array(1.0, dtype)), second])
    return graph.node("Concat", [first, second], axis=1)
