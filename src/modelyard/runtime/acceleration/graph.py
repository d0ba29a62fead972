"""Where the nodes of an ONNX graph are put: a graph of our own, or the one that skl2onnx is building."""

import itertools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import helper, numpy_helper

from modelyard.wire.oip.nouns import Array

ML = "ai.onnx.ml"
ML_VERSION = 5  # the first with trees whose thresholds and leaves may be FP64
OPSET = 18
_LATEST_OF_SKL2ONNX = 3
IR_VERSION = 10


class Graph(Protocol):
    def constant(self, value: Array) -> str:
        """The name of a tensor that holds `value`."""
        ...

    def node(self, op: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        """The name of the node's one output."""
        ...


class PlainGraph:
    """Written from nothing."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._numbers = itertools.count()

    def constant(self, value: Array) -> str:
        name = f"constant_{next(self._numbers)}"
        self._constants.append(tensor(value, name))
        return name

    def node(self, op: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        name = f"{op}_{next(self._numbers)}"
        self._nodes.append(helper.make_node(op, inputs, [name], domain=domain, **attributes))
        return name

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[tuple[str, str, int, int]]
    ) -> onnx.ModelProto:
        """`outputs`: of each its name here, its name for others, its ONNX type and its columns."""
        named = [helper.make_node("Identity", [inside], [outside]) for inside, outside, _, _ in outputs]
        described = [helper.make_tensor_value_info(name, kind, [None, width]) for _, name, kind, width in outputs]
        graph = helper.make_graph([*self._nodes, *named], "compiled", inputs, described, self._constants)
        return helper.make_model(graph, opset_imports=opsets(), ir_version=IR_VERSION)


class ConverterGraph:
    """Within a converter of skl2onnx, whose `scope` and `container` these are."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, value: Array) -> str:
        name: str = self._scope.get_unique_variable_name("constant")
        if value.dtype == object:  # of a tensor of texts skl2onnx would copy nothing
            texts = [it.encode() for it in value.reshape(-1)]
            self._container.add_initializer(name, onnx.TensorProto.STRING, value.shape, texts)
        else:
            self._container.add_initializer(name, None, None, tensor(value, name))
        return name

    def node(self, op: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        name: str = self._scope.get_unique_variable_name(op)
        self._put(op, inputs, name, domain, attributes)
        return name

    def give(self, inside: str, variable: Any) -> None:
        """`inside` is what the converted operator's output `variable` is."""
        self._put("Identity", [inside], variable.full_name, "", {})

    def _put(self, op: str, inputs: Sequence[str], output: str, domain: str, attributes: dict[str, Any]) -> None:
        # skl2onnx knows of no later version, and refuses it; `compile` writes the true one when skl2onnx is done.
        version = _LATEST_OF_SKL2ONNX if domain == ML else None
        name = self._scope.get_unique_operator_name(op)
        self._container.add_node(
            op, list(inputs), [output], op_domain=domain, op_version=version, name=name, **attributes
        )


def opsets() -> list[onnx.OperatorSetIdProto]:
    return [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_VERSION)]


def tensor(value: Array, name: str) -> onnx.TensorProto:
    """Texts are an array of objects."""
    if value.dtype == object:
        return helper.make_tensor(name, onnx.TensorProto.STRING, value.shape, [it.encode() for it in value.reshape(-1)])
    return numpy_helper.from_array(np.ascontiguousarray(value), name)
