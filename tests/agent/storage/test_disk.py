"""A disk that is really full: a small file system of its own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.agent.artifacts import Artifacts
from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.storage import website
from modelyard.agent.storage.sources import Sources
from modelyard.domain.model import Artifact
from modelyard.domain.names import VersionId
from tests.agent.storage.conftest import LIMITS
from tests.agent.storage.web import Web, serving
from tests.agent.test_artifacts import a_tar

IRIS = VersionId("iris", 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"only root can make a small disk here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("name", "content", "sized"),
    [
        ("model.onnx", os.urandom(1 << 20), True),
        ("model.onnx", os.urandom(1 << 20), False),
        ("model.tgz", a_tar(**{"model.onnx": bytes(1 << 20)}), True),
    ],
    ids=["known before", "noticed while it comes", "noticed while it is unpacked"],
)
async def test_a_full_disk_is_named_and_left_as_it_was(
    small_disk: Path, tmp_path: Path, name: str, content: bytes, sized: bool
) -> None:
    web = Web(content) if sized else Web(content, ranges=False, headers={"content-length": ""})
    async with serving(web), website.client(LIMITS) as http:
        cache = Artifacts(small_disk / "agent", Sources(http, tmp_path, LIMITS), LIMITS)
        cache.open({})
        with pytest.raises(ArtifactProblem, match="the disk is full"):
            await cache.fetch(IRIS, Artifact(web.url.replace("model.onnx", name)))
        await cache.release(IRIS)
        assert not [it for it in small_disk.rglob("*") if it.is_file()]
        web.content, web.etag = b"small", '"two"'
        await cache.fetch(IRIS, Artifact(web.url))
