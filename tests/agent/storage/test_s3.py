"""What can go wrong between an agent and an object store, on S3: the kind that can be broken most."""

import asyncio
import contextlib
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from modelyard.agent.artifacts import Artifacts
from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.storage import website
from modelyard.agent.storage.sources import Sources
from modelyard.domain.model import Artifact
from modelyard.domain.names import VersionId
from tests import storages
from tests.agent.peers import free_port, until
from tests.agent.storage.conftest import LIMITS
from tests.agent.storage.test_stores import keep_secret
from tests.agent.test_artifacts import contents, left
from tests.storages import S3_ID, S3_KEY, Storage

IRIS, WINE = VersionId("iris", 1), VersionId("wine", 1)
LARGE = os.urandom(40 * LIMITS.part_bytes)


@pytest.fixture
def bucket(s3: Storage) -> str:
    name = f"models-{uuid.uuid4().hex[:8]}"
    s3.make(name)
    return name


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


async def failure(cache: Artifacts, uri: str, secret: bytes = b"") -> str:
    with pytest.raises(ArtifactProblem) as caught:
        await cache.fetch(IRIS, Artifact(uri, None, secret))
    assert S3_KEY not in str(caught.value)
    return str(caught.value)


class Breaking:
    """A TCP proxy in front of a store: a connection ends after `most` bytes, `times` times."""

    def __init__(self, url: str, most: int, times: int) -> None:
        self._port = int(url.rsplit(":", 1)[1])
        self.most, self.times, self.passed = most, times, 0
        self.hang_after: int | None = None  # bytes in all
        self.hanging = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._port)
            there = asyncio.create_task(self._copy(reader, their_writer, None))
            with contextlib.suppress(asyncio.CancelledError):
                await self._copy(their_reader, writer, self.most)
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)
            for it in (writer, their_writer):
                it.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None) -> None:
        seen = 0
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(16 << 10):
                if most is not None:
                    seen += len(chunk)
                    self.passed += len(chunk)
                    if seen > most and self.times > 0:
                        self.times -= 1
                        return
                    if self.hang_after is not None and self.passed > self.hang_after:
                        self.hanging = True
                        await asyncio.Event().wait()
                writer.write(chunk)
                await writer.drain()


async def test_broken_connections_are_resumed(cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str) -> None:
    s3.put(bucket, "iris/model.onnx", LARGE)
    proxy = Breaking(s3.url, most=30_000, times=6)
    async with proxy.running() as url:
        secret = keep_secret(tmp_path, s3, endpoint=url)
        key = await cache.fetch(IRIS, Artifact(f"s3://{bucket}/iris", None, secret))
    assert contents(cache, key) == {"model.onnx": LARGE}
    assert proxy.times == 0
    assert proxy.passed < 2 * len(LARGE)


async def test_the_next_agent_goes_on(cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str) -> None:
    s3.put(bucket, "iris/model.onnx", LARGE)
    proxy = Breaking(s3.url, most=0, times=0)
    proxy.hang_after = len(LARGE) // 2
    async with proxy.running() as url:
        artifact = Artifact(f"s3://{bucket}/iris", None, keep_secret(tmp_path, s3, endpoint=url))
        fetch = asyncio.create_task(cache.fetch(IRIS, artifact))
        await until(lambda: proxy.hanging, "half of it is here")
        fetch.cancel()
        await asyncio.wait([fetch])
        here = sum(it.read_bytes().count(1) for it in tmp_path.rglob("marks"))
        proxy.hang_after, proxy.passed = None, 0
        async with website.client(LIMITS) as http:
            again = Artifacts(tmp_path / "agent", Sources(http, tmp_path / "secrets", LIMITS), LIMITS)
            again.open({}, [IRIS])
            key = await again.fetch(IRIS, artifact)
    assert contents(again, key) == {"model.onnx": LARGE}
    assert here > 0
    assert proxy.passed < len(LARGE) * 3 / 4


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://127.0.0.1:1", "the host 127.0.0.1:1 refuses connections: check the endpoint"),
        ("http://no-such-host.invalid", "the host no-such-host.invalid is not known to the DNS: check the endpoint"),
        ("http://a b", "endpoint must be a URL such as"),
        ("http://127.0.0.1:99999", "endpoint must be a URL such as"),
    ],
)
async def test_an_endpoint_that_is_none(
    cache: Artifacts, tmp_path: Path, s3: Storage, endpoint: str, reason: str
) -> None:
    assert reason in await failure(cache, "s3://models/iris", keep_secret(tmp_path, s3, endpoint=endpoint))


async def test_a_silent_endpoint_is_given_up(tmp_path: Path, s3: Storage) -> None:
    limits = replace(LIMITS, read_seconds=0.1, download_tries=2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        secret = keep_secret(tmp_path, s3, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        async with website.client(limits) as http:
            cache = Artifacts(tmp_path / "agent", Sources(http, tmp_path / "secrets", limits), limits)
            cache.open({})
            assert "was silent for too long (tried 2 times)" in await failure(cache, "s3://models/iris", secret)


async def test_an_encrypted_endpoint_without_a_trusted_certificate(
    cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str
) -> None:
    secret = keep_secret(tmp_path, s3, endpoint=s3.url.replace("http:", "https:"))
    assert "the connection to" in await failure(cache, f"s3://{bucket}/iris", secret)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A store that checks keys, and knows none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storages, "MOTO_ENVIRONMENT", {"INITIAL_NO_AUTH_ACTION_COUNT": "0"})
        with storages.s3(tmp_path_factory.mktemp("strict")) as it:
            yield it


async def test_keys_that_the_store_does_not_know(cache: Artifacts, tmp_path: Path, strict: Storage) -> None:
    secret = keep_secret(tmp_path, strict)
    said = await failure(cache, "s3://models/iris", secret)
    assert "the store does not accept the credentials (403 InvalidAccessKeyId): check the secret's keys" in said


async def test_the_environment_has_a_say_only_without_a_secret(
    cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put(bucket, "iris/model.onnx", b"x")
    secret = keep_secret(tmp_path, s3)
    uri = f"s3://{bucket}/iris"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
    await cache.fetch(IRIS, Artifact(uri, None, secret))
    await cache.release(IRIS)
    assert "refuses connections" in await failure(cache, uri)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
    monkeypatch.delenv("AWS_SKIP_SIGNATURE")
    monkeypatch.delenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3_KEY)
    await cache.fetch(IRIS, Artifact(uri))


async def test_keys_of_the_users_profile_are_found(
    cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put(bucket, "iris/model.onnx", b"x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    said = await failure(cache, f"s3://{bucket}/iris")
    assert "no credentials were found: name a secret (secretName)" in said
    (tmp_path / ".aws").mkdir()
    lines = f"aws_access_key_id = {S3_ID}\naws_secret_access_key = {S3_KEY}\n"
    (tmp_path / ".aws" / "credentials").write_text(f"[default]\n{lines}")
    await cache.fetch(IRIS, Artifact(f"s3://{bucket}/iris"))


async def test_a_secret_called_like_the_remote_needs_no_naming(
    cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str
) -> None:
    s3.put(bucket, "iris/model.onnx", b"x")
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "minio.yaml").write_text(json.dumps({**s3.config, "name": "minio"}))
    key = await cache.fetch(IRIS, Artifact(f"minio:{bucket}/iris"))
    assert contents(cache, key) == {"model.onnx": b"x"}


def odd(s3: Storage, bucket: str, *keys: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3.url,
        aws_access_key_id=S3_ID,
        aws_secret_access_key=S3_KEY,
        region_name="us-east-1",
    )
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"" if key.endswith("/") else b"x")
    client.close()


async def test_the_empty_objects_that_stand_for_folders_are_left_out(
    cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str
) -> None:
    odd(s3, bucket, "iris/", "iris/deep/", "iris/deep/model.onnx")
    key = await cache.fetch(IRIS, Artifact(f"s3://{bucket}/iris/", None, keep_secret(tmp_path, s3)))
    assert contents(cache, key) == {"deep/model.onnx": b"x"}
    odd(s3, bucket, "empty/")
    assert "nothing is there" in await failure(cache, f"s3://{bucket}/empty/", keep_secret(tmp_path, s3))


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (["a//b"], "an object whose name cannot be a file's"),
        (["a/../b"], "an object whose name cannot be a file's"),
        (["a/b", "a/b/c"], "it holds 'b' both as a file and as a folder"),
        ([f"a/{'x' * 300}"], "a path that cannot be a file's here"),
        ([f"a/{number}" for number in range(60)], "it holds more than 50 files"),
    ],
    ids=["an empty part", "a way out", "a file that is a folder", "a long name", "too many"],
)
async def test_objects_that_no_folder_can_hold(
    cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str, keys: list[str], reason: str
) -> None:
    odd(s3, bucket, *keys)
    assert reason in await failure(cache, f"s3://{bucket}/a", keep_secret(tmp_path, s3))
    assert left(tmp_path) == []


async def test_what_is_too_large_is_refused_before_it_is_fetched(
    cache: Artifacts, tmp_path: Path, s3: Storage, bucket: str
) -> None:
    s3.put(bucket, "iris/model.onnx", bytes(9 << 20))
    assert "it is larger than 8Mi" in await failure(cache, f"s3://{bucket}/iris", keep_secret(tmp_path, s3))
    assert left(tmp_path) == []
