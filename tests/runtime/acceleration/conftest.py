"""Compiling registers converters with skl2onnx for a whole process; other tests convert by the library's own."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def converters_stay_here() -> Iterator[None]:
    operators = pytest.importorskip("skl2onnx._supported_operators").sklearn_operator_name_map
    before = dict(operators)
    yield
    operators.clear()
    operators.update(before)
