"""What several parts' tests share: one whole system, started once, for tests that use models of their own names."""

from collections.abc import Iterator

import pytest

from tests.e2e.yard import Yard


@pytest.fixture(scope="session")
def shared_yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A running system with two replicas. Do not stop or break its parts."""
    it = Yard(tmp_path_factory.mktemp("yard"))
    it.up("--replicas", "2")
    yield it
    it.end()
