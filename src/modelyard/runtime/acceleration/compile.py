"""A model of scikit-learn's, XGBoost's or LightGBM's as an ONNX graph. Slow, and hungry for memory: run by `child`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.base import is_classifier

from modelyard.runtime.acceleration import converters, lightgbm_trees, xgboost_trees
from modelyard.runtime.acceleration.errors import NotCompilable
from modelyard.runtime.acceleration.graph import ML, ML_VERSION, OPSET, PlainGraph
from modelyard.runtime.errors import first_line

MOST_BYTES = (2 << 30) - 1  # of a protobuf message
INPUT = "rows"


@dataclass(frozen=True, slots=True)
class Compiled:
    """`outputs`: of each output of the native model that is compiled, its name in the graph."""

    content: bytes
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Input:
    """Of a graph. `columns`: places in a row. `text`: texts, else numbers."""

    name: str
    columns: tuple[int, ...]
    text: bool


def inputs_of(texts: Sequence[bool], names: Sequence[str]) -> tuple[Input, ...]:
    """One matrix where all columns are of a kind, else an input for each column, of the column's name.

    `texts`: of each column whether it holds texts. `names`: of the columns, empty where they have none.
    """
    if len(set(texts)) == 1:
        return (Input(INPUT, tuple(range(len(texts))), texts[0]),)
    if not names:
        raise NotCompilable("its rows mix numbers and texts, and its columns have no names")
    return tuple(Input(name, (place,), text) for place, (name, text) in enumerate(zip(names, texts, strict=True)))


def estimator(model: Any, inputs: Sequence[Input], *, single: bool) -> Compiled:
    """`single`: compute in FP32, where the converters know no FP64. Raises `NotCompilable`."""
    converters.register()
    numbers = FloatTensorType if single else DoubleTensorType
    types = [(it.name, (StringTensorType if it.text else numbers)([None, len(it.columns)])) for it in inputs]
    options: dict[int, dict[str, Any]] = {id(model): {"zipmap": False}} if is_classifier(model) else {}
    for it in _parts(model):
        if hasattr(it, "vocabulary_"):
            options[id(it)] = _of_vectorizer(it)
        if hasattr(it, "flatten_transform"):
            it.flatten_transform = False  # the only way that skl2onnx knows; only `transform` would notice
    try:
        proto = convert_sklearn(
            model, name="compiled", initial_types=types, target_opset={"": OPSET, ML: 3}, options=options
        )
    except NotCompilable:
        raise
    except MemoryError:
        raise
    except Exception as error:  # it raises whatever comes
        raise NotCompilable(f"skl2onnx cannot convert it: {type(error).__name__}: {first_line(error)}") from None
    return _finished(proto, _outputs(model, proto))


# skl2onnx's own default cuts words otherwise than scikit-learn's.
_USUAL_WORDS = r"(?u)\b\w\w+\b"
_WORDS = r"[\pL\pN_][\pL\pN_]+"
_LOCALE = "C.UTF-8"  # which needs not be installed


def _of_vectorizer(vectorizer: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"locale": _LOCALE}
    if vectorizer.analyzer == "word" and vectorizer.token_pattern == _USUAL_WORDS:
        options["tokenexp"] = _WORDS
    return options


def xgboost(saved: bytes, classes: int | None, iterations: int | None) -> Compiled:
    """Of a booster on its own. `classes`: what it is a classifier of, None where it answers as a booster."""
    booster = xgboost_trees.Booster(saved, iterations)
    graph = PlainGraph()
    found = booster.transformed(graph, booster.margins(graph, INPUT))
    logistic, softmax = booster.objective == "binary:logistic", booster.objective == "multi:softprob"
    probabilities = found
    if logistic or (classes is not None and booster.objective in xgboost_trees.LOGISTIC):
        probabilities = converters.both(graph, found, np.float32)
    outputs: dict[str, tuple[str, int, int]] = {}
    if classes is not None:
        first = graph.node("ArgMax", [probabilities], axis=1, keepdims=1)
        outputs["predict"] = first, TensorProto.INT64, 1
    elif booster.objective == "multi:softmax":
        first = graph.node("ArgMax", [found], axis=1, keepdims=1)
        outputs["predict"] = graph.node("Cast", [first], to=TensorProto.FLOAT), TensorProto.FLOAT, 1
    else:
        outputs["predict"] = found, TensorProto.FLOAT, booster.outputs
    if classes is not None or logistic or softmax:
        outputs["predict_proba"] = probabilities, TensorProto.FLOAT, classes or max(booster.outputs, 2)
    return _plain(graph, booster.features, TensorProto.FLOAT, outputs)


def lightgbm(saved: str) -> Compiled:
    booster = lightgbm_trees.Booster(saved)
    graph = PlainGraph()
    found = booster.transformed(graph, booster.margins(graph, INPUT))
    outputs = {"predict": (found, TensorProto.DOUBLE, booster.outputs)}
    if booster.objective == "binary":
        outputs["predict_proba"] = converters.both(graph, found, np.float64), TensorProto.DOUBLE, 2
    elif booster.objective in (lightgbm_trees.SOFTMAX, lightgbm_trees.ONE_BY_ONE):
        outputs["predict_proba"] = found, TensorProto.DOUBLE, booster.outputs
    return _plain(graph, booster.features, TensorProto.DOUBLE, outputs)


def _plain(graph: PlainGraph, features: int, kind: int, outputs: Mapping[str, tuple[str, int, int]]) -> Compiled:
    described = helper.make_tensor_value_info(INPUT, kind, [None, features])
    proto = graph.model([described], [(inside, name, to, width) for name, (inside, to, width) in outputs.items()])
    return _serialized(proto, {name: name for name in outputs})


def _outputs(model: Any, proto: onnx.ModelProto) -> dict[str, str]:
    """skl2onnx puts labels or values first, then probabilities, or scores of no use here."""
    names = [it.name for it in proto.graph.output]
    if not hasattr(model, "predict"):
        return {"transform": names[0]}
    outputs = {"predict": names[0]}
    if is_classifier(model) and len(names) > 1:
        if hasattr(model, "predict_proba"):
            outputs["predict_proba"] = names[1]
        if hasattr(model, "predict_log_proba"):
            outputs["predict_log_proba"] = _logarithm(proto, names[1])
    return outputs


def _logarithm(proto: onnx.ModelProto, of: str) -> str:
    name = f"log_{of}"
    proto.graph.node.append(helper.make_node("Log", [of], [name]))
    described = proto.graph.output.add()
    described.CopyFrom(next(it for it in proto.graph.output if it.name == of))
    described.name = name
    return name


def _finished(proto: onnx.ModelProto, outputs: Mapping[str, str]) -> Compiled:
    default = max((it.version for it in proto.opset_import if not it.domain), default=OPSET)
    others = [it for it in proto.opset_import if it.domain not in ("", ML)]
    del proto.opset_import[:]
    proto.opset_import.extend([helper.make_opsetid("", default), helper.make_opsetid(ML, ML_VERSION), *others])
    # Widths that the converters guessed wrong only make ONNX Runtime complain.
    for it in proto.graph.output:
        it.type.tensor_type.ClearField("shape")
    return _serialized(proto, outputs)


def _serialized(proto: onnx.ModelProto, outputs: Mapping[str, str]) -> Compiled:
    if proto.ByteSize() > MOST_BYTES:
        raise NotCompilable("its graph would be larger than the 2 GiB that ONNX allows")
    return Compiled(proto.SerializeToString(), outputs)


def _parts(model: Any) -> list[Any]:
    """The estimators that a model is made of, itself included."""
    found = [model]
    for name in ("steps", "estimators", "transformers_", "transformer_list"):
        for it in getattr(model, name, None) or []:
            if isinstance(it, tuple) and len(it) > 1:
                found.extend(_parts(it[1]))
    return found
