"""Small ONNX graphs whose answers show how they were called."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.runtime.artifacts import graph_bytes

TABLE = [10.0, 20.0, 30.0, 40.0]


def _graph(nodes, inputs, outputs, constants=()) -> bytes:
    initial = [numpy_helper.from_array(np.array(value), name) for name, value in constants]
    return graph_bytes(helper.make_graph(nodes, "g", inputs, outputs, initial))


def _info(name: str, kind: int, shape: list[str | int]):
    return helper.make_tensor_value_info(name, kind, shape)


def counts() -> bytes:
    """Answers every element of x [n, k] by the number of rows in the call: its rows are not independent."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["rows"]),
        helper.make_node("Cast", ["rows"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "count"], ["y"]),
    ]
    x, y = (_info(name, TensorProto.FLOAT, ["n", "k"]) for name in "xy")
    return _graph(nodes, [x], [y], [("first", np.int64(0)), ("zero", np.float32(0))])


def picks() -> bytes:
    """The elements of TABLE at the places x [n]; fails for a place that is none."""
    nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
    x, y = _info("x", TensorProto.INT64, ["n"]), _info("y", TensorProto.FLOAT, ["n"])
    return _graph(nodes, [x], [y], [("table", np.array(TABLE, dtype=np.float32))])


def centred() -> bytes:
    """x [n, 2] less the mean of all rows."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "mean"], ["y"]),
    ]
    x, y = (_info(name, TensorProto.FLOAT, ["n", 2]) for name in "xy")
    return _graph(nodes, [x], [y])


def doubled_rows() -> bytes:
    """Two rows out for each row in, of x [n]."""
    nodes = [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)]
    x, y = _info("x", TensorProto.FLOAT, ["n"]), _info("y", TensorProto.FLOAT, ["m"])
    return _graph(nodes, [x], [y])


def product() -> bytes:
    """a [n, k] times b [n, k], where one row of b may also serve all rows of a."""
    nodes = [helper.make_node("Mul", ["a", "b"], ["y"])]
    a, b = (_info(name, TensorProto.FLOAT, [rows, "k"]) for name, rows in (("a", "n"), ("b", "m")))
    return _graph(nodes, [a, b], [_info("y", TensorProto.FLOAT, ["n", "k"])])


def wants_three() -> bytes:
    """x [n, k] as three columns; fails for what cannot be that."""
    nodes = [helper.make_node("Add", ["x", "row"], ["y"])]
    x, y = (_info(name, TensorProto.FLOAT, ["n", "k"]) for name in "xy")
    return _graph(nodes, [x], [y], [("row", np.ones((1, 3), dtype=np.float32))])


def large(size: int) -> bytes:
    """x [n, 1] as it is, by a graph that holds `size` bytes."""
    constant = np.arange(size // 4, dtype=np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "place"], ["nothing"]),
        helper.make_node("Add", ["x", "nothing"], ["y"]),
    ]
    x, y = (_info(name, TensorProto.FLOAT, ["n", 1]) for name in "xy")
    # Looked up by an input, or the whole table would be folded into the one number that is used of it.
    place = _info("place", TensorProto.INT64, [])
    return _graph(nodes, [x, place], [y], [("table", constant)])
