"""One store of each kind for all tests here; each test has buckets of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from modelyard.agent.artifacts import Artifacts
from modelyard.agent.settings import Limits
from modelyard.agent.storage import transfer, website
from modelyard.agent.storage.sources import Sources
from tests import storages
from tests.storages import Storage

LIMITS = Limits(download_tries=3, artifact_bytes=8 << 20, artifact_files=50, read_seconds=5, part_bytes=64 << 10)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture(scope="session", params=sorted(storages.STORAGES))
def storage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Each kind in turn."""
    with storages.STORAGES[request.param](tmp_path_factory.mktemp("storage")) as it:
        yield it


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    with storages.s3(tmp_path_factory.mktemp("s3")) as it:
        yield it


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Artifacts]:
    async with website.client(LIMITS) as http:
        it = Artifacts(tmp_path / "agent", Sources(http, tmp_path / "secrets", LIMITS), LIMITS)
        it.open({})
        yield it
