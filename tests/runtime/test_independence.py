"""What is found out about real graphs when they are loaded."""

from pathlib import Path

import pytest

from modelyard.runtime.formats.load import Options, load
from modelyard.runtime.independence import Rows, try_out
from tests.runtime import artifacts, graphs


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        pytest.param(graphs.picks(), Rows.INDEPENDENT, id="an element of a table for each row"),
        pytest.param(graphs.product(), Rows.INDEPENDENT, id="two inputs"),
        pytest.param(graphs.counts(), Rows.MIXED, id="the number of rows"),
        pytest.param(graphs.centred(), Rows.MIXED, id="less the mean of all rows"),
        pytest.param(graphs.doubled_rows(), Rows.MIXED, id="two rows out for each row in"),
        pytest.param(graphs.wants_three(), Rows.UNKNOWN, id="a width that the signature does not tell"),
    ],
)
def test_a_graph_that_mixes_rows_is_recognised(tmp_path: Path, graph: bytes, expected: Rows):
    artifacts.file(tmp_path, "m/model.onnx", graph)
    loaded = load(tmp_path / "m", Options())
    assert try_out(loaded.model) is expected
    assert (loaded.batching is not None) is (expected is Rows.INDEPENDENT)


def test_trained_models_and_every_datatype_may_share_calls(repository: Path):
    names = ["iris-onnx", "iris-zipmap", *(f"identity-{datatype.lower()}" for datatype in artifacts.ONNX_TYPES)]
    assert [name for name in names if load(repository / name, Options()).batching is None] == []


def test_nothing_shares_a_call_where_the_server_is_told_so(repository: Path):
    assert load(repository / "iris-onnx", Options(batch=False)).batching is None
