"""A whole system for one test; modules whose tests share one have a `yard` of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.yard import Yard


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """Not started yet."""
    it = Yard(tmp_path)
    yield it
    it.end()
