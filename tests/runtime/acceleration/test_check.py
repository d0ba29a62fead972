"""Two models' answers compared."""

import numpy as np
import pytest

from modelyard.runtime.acceleration.check import Comparison, Limits, both, compare
from modelyard.wire.oip.nouns import BYTES, DATATYPES, Tensor


def tensor(*values: object) -> Tensor:
    data = np.array(values) if not isinstance(values[0], bytes) else np.array(values, dtype=object)
    return Tensor("y", DATATYPES.get(data.dtype, BYTES), data.reshape(-1, 1))


@pytest.mark.parametrize(
    ("native", "compiled", "difference"),
    [
        ((1.0, 2.0), (1.0, 2.0), 0.0),
        ((1.0, 2.0), (1.0, 2.5), 0.25),
        ((1e-9, 2e-9), (1e-9, 2.5e-9), 0.25),
        ((0.0, 0.0), (0.0, 0.0), 0.0),
        ((0.0, 0.0), (0.0, 1e-30), np.inf),
        ((np.nan, -np.inf), (np.nan, -np.inf), 0.0),
        ((np.nan, 1.0), (1.0, 1.0), np.inf),
        ((1.0, 1.0), (1.0, np.nan), np.inf),
        ((np.inf, 1.0), (-np.inf, 1.0), np.inf),
    ],
)
def test_numbers_are_compared_in_units_of_the_largest(native, compiled, difference: float):
    assert compare(tensor(*native), tensor(*compiled), labels=False).difference == pytest.approx(difference)


@pytest.mark.parametrize(("native", "compiled"), [((1, 2, 3), (1, 2, 4)), ((b"a", b"b", b"c"), (b"a", b"b", b"d"))])
def test_labels_are_counted(native, compiled):
    found = compare(tensor(*native), tensor(*compiled), labels=True)
    assert (found.rows, found.differing_labels, found.difference) == (3, 1, 0.0)


@pytest.mark.parametrize("labels", [True, False])
def test_other_shapes_and_datatypes_are_other_answers(labels: bool):
    for compiled in (tensor(1.0), tensor(1, 2)):
        assert compare(tensor(1.0, 2.0), compiled, labels=labels).problem(Limits()) is not None


def test_limits_decide():
    found = Comparison(1000, difference=1e-6, differing_labels=2, labels=True)
    assert found.problem(Limits(1e-6, 0.002)) is None
    assert (
        found.problem(Limits(1e-6, 0.001))
        == "2 of 1,000 labels differ from the native model's (0.20%, 0.10% are allowed)"
    )
    assert found.problem(Limits(1e-7, 0.002)) == "its numbers differ by up to 1.0e-06 (1e-07 are allowed)"
    assert Comparison(10, difference=np.nan).problem(Limits()) is not None


def test_the_worse_of_two_counts():
    worse = both(Comparison(9, 0.0, 3, True), Comparison(9, 0.5))
    assert worse.sentence() == "checked on 9 rows: largest difference 5e-1, 3 labels differ"
    assert Comparison(4000, 3e-7).sentence() == "checked on 4,000 rows: largest difference 3e-7"
