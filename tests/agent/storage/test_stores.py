"""Artifacts in every kind of object store, each a real server."""

import io
import json
import os
import uuid
import zipfile
from pathlib import Path

import pytest

from modelyard.agent.artifacts import Artifacts
from modelyard.agent.problems import ArtifactProblem
from modelyard.domain.model import Artifact
from modelyard.domain.names import VersionId
from modelyard.wire import models
from tests.agent.test_artifacts import contents, left
from tests.storages import Storage

IRIS, WINE = VersionId("iris", 1), VersionId("wine", 1)


@pytest.fixture
def bucket() -> str:
    return f"models-{uuid.uuid4().hex[:8]}"


def keep_secret(tmp_path: Path, storage: Storage, name: str = "mine", **parameters: object) -> bytes:
    """Put the store's secret where the agent finds it; how a manifest names it."""
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    config = {**storage.config, "parameters": {**storage.config["parameters"], **parameters}}  # type: ignore[dict-item]
    (folder / f"{name}.yaml").write_text(json.dumps(config))
    return models.encode_storage(name)


async def test_a_prefix_is_a_folder_with_every_name_and_size_as_it_was(
    cache: Artifacts, tmp_path: Path, storage: Storage, bucket: str
) -> None:
    files = {
        "1/model.onnx": os.urandom(300_000),  # several parts
        "1/empty": b"",
        "a b+ü%41.txt": b"odd",
        "exactly.bin": b"x" * (64 << 10),
    }
    storage.fill(bucket, {f"deep/iris/{name}": content for name, content in files.items()} | {"deep/iris2/no": b"no"})
    secret = keep_secret(tmp_path, storage)
    key = await cache.fetch(IRIS, Artifact(f"{storage.scheme}://{bucket}/deep/iris", None, secret))
    assert contents(cache, key.partition("/")[0]) == files
    assert key.endswith("/1")
    await cache.release(IRIS)
    assert left(tmp_path) == []


async def test_one_object_is_a_file_and_an_archive_is_unpacked(
    cache: Artifacts, tmp_path: Path, storage: Storage, bucket: str
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("iris/model.onnx", b"packed")
    storage.fill(bucket, {"iris/model.onnx": b"plain", "iris.zip": packed.getvalue(), "one/m.zip": packed.getvalue()})
    secret = keep_secret(tmp_path, storage)
    one = await cache.fetch(IRIS, Artifact(f"{storage.scheme}://{bucket}/iris/model.onnx", None, secret))
    two = await cache.fetch(WINE, Artifact(f"{storage.scheme}:{bucket}/iris.zip", None, secret))
    assert contents(cache, one) == {"model.onnx": b"plain"}
    assert contents(cache, two) == {"model.onnx": b"packed"}
    three = await cache.fetch(VersionId("folder", 1), Artifact(f"{storage.scheme}://{bucket}/one", None, secret))
    assert contents(cache, three) == {"m.zip": packed.getvalue()}


@pytest.mark.parametrize(
    ("path", "reason"),
    [("nothing/here", "nothing is there: the bucket"), ("nothing/here/", "nothing is there")],
)
async def test_a_key_that_is_not_there(
    cache: Artifacts, tmp_path: Path, storage: Storage, bucket: str, path: str, reason: str
) -> None:
    storage.fill(bucket, {"something/else": b"x"})
    secret = keep_secret(tmp_path, storage)
    uri = f"{storage.scheme}://{bucket}/{path}"
    with pytest.raises(ArtifactProblem) as caught:
        await cache.fetch(IRIS, Artifact(uri, None, secret))
    assert str(caught.value).startswith(f"cannot fetch {uri}: {reason}")
    assert left(tmp_path) == []


async def test_a_bucket_that_is_not_there(cache: Artifacts, tmp_path: Path, storage: Storage, bucket: str) -> None:
    secret = keep_secret(tmp_path, storage)
    with pytest.raises(ArtifactProblem) as caught:
        await cache.fetch(IRIS, Artifact(f"{storage.scheme}://{bucket}/iris", None, secret))
    # Google answers 404 with a code; its emulator here has another word.
    said = "the store answered 500 (tried 3 times)" if storage.scheme == "gs" else f"there is no bucket {bucket} at"
    assert said in str(caught.value)


async def test_an_unchanged_artifact_is_not_downloaded_again(
    cache: Artifacts, tmp_path: Path, storage: Storage, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage.fill(bucket, {"iris/model.onnx": b"one"})
    secret = keep_secret(tmp_path, storage)
    artifact = Artifact(f"{storage.scheme}://{bucket}/iris", None, secret)
    caplog.set_level("INFO")
    first = await cache.fetch(IRIS, artifact)
    assert "nothing to download" not in caplog.text
    assert await cache.fetch(WINE, artifact) == first
    assert "nothing to download" in caplog.text
    storage.put(bucket, "iris/model.onnx", b"two")
    second = await cache.fetch(VersionId("iris", 2), artifact)
    assert contents(cache, second) == {"model.onnx": b"two"}


async def test_only_the_numbered_folder_in_use_is_downloaded(
    cache: Artifacts, tmp_path: Path, storage: Storage, bucket: str
) -> None:
    storage.fill(bucket, {"iris/config.pbtxt": b"c", "iris/2/m": b"2", "iris/10/m": b"10"})
    secret = keep_secret(tmp_path, storage)
    uri = f"{storage.scheme}://{bucket}/iris"
    highest = await cache.fetch(IRIS, Artifact(uri, None, secret))
    chosen = await cache.fetch(WINE, Artifact(uri, 2, secret))
    assert contents(cache, highest.partition("/")[0]) == {"config.pbtxt": b"c", "10/m": b"10"}
    assert contents(cache, chosen.partition("/")[0]) == {"config.pbtxt": b"c", "2/m": b"2"}
    with pytest.raises(ArtifactProblem, match=r"it has no version 3 \(artifactVersion\): it has 2, 10"):
        await cache.fetch(VersionId("x", 1), Artifact(uri, 3, secret))
