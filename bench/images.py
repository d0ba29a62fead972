"""A picture of 1 x 224 x 224 x 3 numbers through the built-in runtime: as JSON, and by the binary tensor extension."""

import contextlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from bench import _drive, _ours
from bench._drive import Ask
from bench._figures import median, ratio_of
from bench.table import Row, show
from modelyard.wire.oip import rest
from modelyard.wire.oip.headers import BINARY_HEADER_LENGTH
from modelyard.wire.oip.nouns import InferRequest, RequestedOutput, Tensor

TITLE = (
    "A picture, 1 x 224 x 224 x 3 in FP32, its first number asked for (so that the model costs nothing): 16 in flight"
)
ROUNDS, SECONDS, CONNECTIONS = 5, 2.0, 16
TARGET = 50


def run() -> Iterable[Row]:
    if lacking := _drive.missing():
        yield Row("this bench", lacking)
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder, contextlib.ExitStack() as stack:
        scratch = Path(folder)
        _write_model(scratch / "models" / "first")
        runtime = stack.enter_context(_ours.started(scratch / "models"))
        _ours.load(runtime, "first")
        figures: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(ROUNDS + 1):
            for binary in (True, False) if turn % 2 else (False, True):
                ask = _ask(runtime.http_port, binary=binary)
                rate, _ = _drive.requests_per_second(ask, CONNECTIONS, SECONDS, scratch)
                if turn:  # the first round warms up
                    figures[binary].append(rate)
        ratio = ratio_of(figures[True], figures[False])
        yield Row("requests/s, binary", f"{median(figures[True]):,.0f}")
        yield Row("requests/s, JSON", f"{median(figures[False]):,.1f}")
        yield Row("binary ÷ JSON", f"{ratio:.0f} ×", f"≥ {TARGET} ×", ratio >= TARGET)


def _write_model(folder: Path) -> None:
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [None, 224, 224, 3])
    first = helper.make_tensor_value_info("first", TensorProto.FLOAT, [None, 1, 1, 1])
    bounds = {"starts": [0, 0, 0], "ends": [1, 1, 1], "axes": [1, 2, 3]}
    constants = [helper.make_tensor(name, TensorProto.INT64, [3], values) for name, values in bounds.items()]
    node = helper.make_node("Slice", ["picture", *bounds], ["first"])
    graph = helper.make_graph([node], "first", [picture], [first], constants)
    folder.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def _ask(port: int, *, binary: bool) -> Ask:
    picture = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32)
    request = InferRequest((Tensor("picture", "FP32", picture),), (RequestedOutput("first"),))
    body = rest.encode_request(request, binary_inputs=binary)
    headers = {"content-type": "application/octet-stream" if binary else "application/json"}
    if body.json_bytes is not None:
        headers[BINARY_HEADER_LENGTH] = str(body.json_bytes)
    return Ask(port, "/v2/models/first/infer", body.content, headers)


if __name__ == "__main__":
    show(TITLE, run())
