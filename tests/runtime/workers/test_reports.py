"""What goes between a server and a worker comes out as it went in."""

from pathlib import Path

import numpy as np
import pytest

from modelyard.kit.errors import InvalidInput, ModelyardError
from modelyard.runtime.batching import Limits
from modelyard.runtime.bounds import Bounds
from modelyard.runtime.errors import ModelFailed, OutOfMemory
from modelyard.runtime.formats.load import Options
from modelyard.runtime.model import Signature
from modelyard.runtime.workers import orders, reports
from modelyard.runtime.workers.frames import Decoder, encode
from modelyard.runtime.workers.orders import Load, Run
from modelyard.runtime.workers.reports import Answered, Done, Failed, Loaded, Part
from modelyard.wire.oip.loading import LoadOrder
from modelyard.wire.oip.nouns import BYTES, DTYPES, InferRequest, RequestedOutput, Tensor, TensorMetadata


def sent(frame):
    (found,) = Decoder().feed(b"".join(bytes(it) for it in encode(frame)))
    return found


def same(left, right) -> bool:
    return [(it.name, it.datatype, it.data.dtype, it.data.tolist(), dict(it.parameters)) for it in left] == [
        (it.name, it.datatype, it.data.dtype, it.data.tolist(), dict(it.parameters)) for it in right
    ]


def tensor(datatype: str) -> Tensor:
    values = [b"a", b"\xff\x00"] if datatype == BYTES else [0, 1]
    return Tensor("t", datatype, np.array(values, dtype=DTYPES[datatype]).reshape(2, 1), {"content_type": "x"})


@pytest.mark.parametrize("datatype", DTYPES)
def test_tensors_go_both_ways(datatype: str):
    request = InferRequest((tensor(datatype),), (RequestedOutput("y", True),), id="1", parameters={"a": 1})
    found = orders.decode(sent(orders.encode(Run(1, 2, [request]))))
    assert isinstance(found, Run)
    assert same(found.requests[0].inputs, request.inputs)
    assert found.requests[0].outputs == request.outputs
    answer = reports.decode(sent(reports.encode(Answered(1, [[tensor(datatype)], [tensor("FP32")]]))))
    assert isinstance(answer, Answered)
    assert same(answer.outcomes[0], [tensor(datatype)])
    assert same(answer.outcomes[1], [tensor("FP32")])


def test_inputs_that_are_not_contiguous_arrive_too():
    data = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    found = orders.decode(sent(orders.encode(Run(1, 2, [InferRequest((Tensor("x", "FP32", data),))]))))
    assert isinstance(found, Run)
    assert found.requests[0].inputs[0].data.tolist() == data.tolist()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidInput("a"), InvalidInput),
        (OutOfMemory("b"), OutOfMemory),
        (ModelFailed("c"), ModelFailed),
        (type("Other", (ModelyardError,), {})("d"), ModelyardError),
    ],
)
def test_errors_stay_what_they_are_where_they_are_known(error: ModelyardError, kind: type):
    for report in (Failed(3, error), Answered(3, [error])):
        found = reports.decode(sent(reports.encode(report)))
        back = found.error if isinstance(found, Failed) else found.outcomes[0]
        assert (type(back), str(back)) == (kind, str(error))


@pytest.mark.parametrize("batching", [None, Limits(3, wait_seconds=0.5)])
def test_a_load_and_what_came_of_it(batching: Limits | None):
    order = Load(1, 2, Path("/m"), Options(pickle=False), LoadOrder(parameters={"a": "b"}))
    assert orders.decode(sent(orders.encode(order))) == order
    about = (TensorMetadata("x", "FP32", (-1, 4)),)
    signature = Signature("sklearn", about, about, ("x",))
    loaded = Loaded(
        1, "m", "3", signature, batching, Bounds(2, 3), 4096, "note", "a.B", True, {"x": (1.5, 2.0, 3.0, 4.0)}
    )
    assert reports.decode(sent(reports.encode(loaded))) == loaded


@pytest.mark.parametrize("report", [Done(7), Part(7, None)])
def test_reports_without_content(report):
    assert reports.decode(sent(reports.encode(report))) == report
