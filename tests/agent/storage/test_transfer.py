"""Downloads from a web server that has ranges, and breaks."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from modelyard.agent.artifacts import Artifacts
from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.storage import website
from modelyard.agent.storage.partial import Partial
from modelyard.agent.storage.remote import Checksum, RemoteFile
from modelyard.agent.storage.sources import Sources
from modelyard.agent.storage.transfer import Tally, Transfer
from modelyard.domain.model import Artifact
from modelyard.domain.names import VersionId
from tests.agent.peers import until
from tests.agent.storage.conftest import LIMITS
from tests.agent.storage.web import Web, serving
from tests.agent.test_artifacts import contents, left

IRIS, WINE = VersionId("iris", 1), VersionId("wine", 1)
PART = LIMITS.part_bytes
LARGE = os.urandom(5 * PART + 100)


def sha256(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


@pytest.mark.parametrize("content", [b"", b"x", LARGE[:PART], LARGE[: PART + 1], LARGE], ids=len)
@pytest.mark.parametrize("ranges", [True, False])
async def test_files_of_every_size_arrive_whole(cache: Artifacts, content: bytes, ranges: bool) -> None:
    async with serving(Web(content, ranges=ranges)) as web:
        key = await cache.fetch(IRIS, Artifact(web.url))
    assert contents(cache, key) == {"model.onnx": content}
    assert web.sent == len(content)


async def test_a_broken_connection_is_resumed_where_it_broke(cache: Artifacts) -> None:
    async with serving(Web(LARGE, breaks=[1000, 70, None, 0, 5])) as web:
        key = await cache.fetch(IRIS, Artifact(web.url))
    assert contents(cache, key) == {"model.onnx": LARGE}
    assert web.sent == len(LARGE)
    assert "bytes=1000-65535" in web.asked


async def test_a_server_without_ranges_is_read_from_the_start_again_and_given_up_in_the_end(cache: Artifacts) -> None:
    async with serving(Web(LARGE, ranges=False, breaks=[PART * 2, 10, None])) as web:
        key = await cache.fetch(IRIS, Artifact(web.url))
    assert contents(cache, key) == {"model.onnx": LARGE}
    async with serving(Web(LARGE, ranges=False, breaks=[PART] * 99)) as web:
        with pytest.raises(ArtifactProblem, match=r"\(tried 3 times\)"):
            await cache.fetch(IRIS, Artifact(web.url))
    assert len(web.asked) == 3


async def test_a_connection_that_gets_on_is_not_given_up(cache: Artifacts) -> None:
    async with serving(Web(LARGE[:PART], breaks=[PART // 10] * 10)) as web:
        key = await cache.fetch(IRIS, Artifact(web.url))
    assert contents(cache, key) == {"model.onnx": LARGE[:PART]}
    assert len(web.asked) > LIMITS.download_tries


async def interrupted(cache: Artifacts, web: Web, tmp_path: Path) -> None:
    """The agent dies while parts of the file are here."""
    fetch = asyncio.create_task(cache.fetch(IRIS, Artifact(web.url)))
    await until(lambda: b"\1" in b"".join(it.read_bytes() for it in tmp_path.rglob("marks")), "a part is here")
    fetch.cancel()
    await asyncio.wait([fetch])
    await asyncio.wait(web.tasks)  # what was on its way counts for the old agent


async def reopened(cache: Artifacts, tmp_path: Path, web: Web, *wanted: VersionId) -> bytes:
    async with website.client(LIMITS) as http:
        again = Artifacts(tmp_path / "agent", Sources(http, tmp_path / "secrets", LIMITS), LIMITS)
        again.open({}, wanted)
        key = await again.fetch(IRIS, Artifact(web.url))
    return contents(cache, key)["model.onnx"]


async def test_the_next_agent_goes_on_with_what_is_here(cache: Artifacts, tmp_path: Path) -> None:
    async with serving(Web(LARGE, statuses=[200, *([503] * 3)])) as web:
        await interrupted(cache, web, tmp_path)
        before, web.sent, web.statuses = len(web.asked), 0, []
        assert await reopened(cache, tmp_path, web, IRIS) == LARGE
    assert web.sent <= len(LARGE)  # the first answer, which tells the size, may be of a part that is here
    assert len(web.asked) > before
    assert not list((tmp_path / "agent" / "artifacts" / "partial").iterdir())


async def test_what_changed_meanwhile_is_begun_anew(cache: Artifacts, tmp_path: Path) -> None:
    async with serving(Web(LARGE, statuses=[200, *([503] * 3)])) as web:
        await interrupted(cache, web, tmp_path)
        web.content, web.etag, web.statuses = LARGE[::-1], '"two"', []
        assert await reopened(cache, tmp_path, web, IRIS) == LARGE[::-1]


async def test_nothing_is_kept_of_a_download_that_nobody_wants(cache: Artifacts, tmp_path: Path) -> None:
    async with serving(Web(LARGE, statuses=[200, *([503] * 3)])) as web:
        await interrupted(cache, web, tmp_path)
        assert left(tmp_path) != []
        await cache.release(IRIS)
        assert left(tmp_path) == []
        web.statuses = [200, *([503] * 3)]
        await interrupted(cache, web, tmp_path)
        cache.open({}, [WINE])
        assert left(tmp_path) == []


async def test_a_file_that_changes_while_it_is_read_is_never_mixed(cache: Artifacts) -> None:
    async with serving(Web(LARGE, breaks=[100])) as web:
        fetch = asyncio.create_task(cache.fetch(IRIS, Artifact(web.url)))
        await until(lambda: web.asked, "the first answer")
        web.content, web.etag = LARGE[::-1], '"two"'
        key = await fetch
    assert contents(cache, key)["model.onnx"] in (LARGE, LARGE[::-1])


async def test_progress_counts_what_came(cache: Artifacts) -> None:
    async with serving(Web(LARGE, stall=True)) as web:
        fetch = asyncio.create_task(cache.fetch(IRIS, Artifact(web.url)))
        await until(lambda: (cache.progress(IRIS) or (0, 0))[0], "bytes")
        fetched, total = cache.progress(IRIS) or (0, 0)
        assert 0 < fetched < len(LARGE)
        assert total == len(LARGE)
        assert cache.progress(WINE) is None
        fetch.cancel()
        await asyncio.wait([fetch])
    assert cache.progress(IRIS) is None


async def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    limits = replace(LIMITS, read_seconds=0.05, download_tries=2)
    silent = Web(b"", headers={"content-length": "100"}, ranges=False, stall=True)
    async with serving(silent) as web, website.client(limits) as http:
        it = Artifacts(tmp_path / "agent", Sources(http, tmp_path, limits), limits)
        it.open({})
        with pytest.raises(ArtifactProblem, match="silent for too long"):
            await it.fetch(IRIS, Artifact(web.url))


@pytest.mark.parametrize(
    "headers",
    [
        {"repr-digest": sha256(LARGE)},
        {"digest": sha256(LARGE).replace("=:", "=").removesuffix(":")},
        {"x-goog-hash": f"crc32c=AAAAAA==,md5={base64.b64encode(hashlib.md5(LARGE).digest()).decode()}"},
    ],
    ids=["Repr-Digest", "Digest", "x-goog-hash"],
)
async def test_checksums_are_held_to(cache: Artifacts, tmp_path: Path, headers: dict[str, str]) -> None:
    async with serving(Web(LARGE, headers=headers, damage=[False, True])) as web:
        key = await cache.fetch(IRIS, Artifact(web.url))
    assert contents(cache, key) == {"model.onnx": LARGE}
    await cache.release(IRIS)
    async with serving(Web(LARGE, headers=headers, damage=[True] * 99)) as web:
        with pytest.raises(ArtifactProblem, match=r"does not match its (sha256|md5): the store says"):
            await cache.fetch(IRIS, Artifact(web.url))
    await cache.release(IRIS)
    assert left(tmp_path) == []


async def test_credentials_of_a_url_are_used_and_not_shown(cache: Artifacts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="modelyard")
    async with serving(Web(b"x", statuses=[503, 404])) as web:
        uri = web.url.replace("http://", "http://me:planted@") + "?sig=planted"
        with pytest.raises(ArtifactProblem) as caught:
            await cache.fetch(IRIS, Artifact(uri))
    assert "planted" not in str(caught.value) + caplog.text + repr(Artifact(uri, None, b"planted"))
    assert "model.onnx?sig=***" in str(caught.value)


class Store:
    """A source whose ETag is an MD5 by its form. `contents`: what each next reading of the file gives."""

    identity, folder = "store", False

    def __init__(self, etag: str, *contents: bytes) -> None:
        self.file = RemoteFile("model.onnx", len(contents[0]), f'"{etag}"', checksum=Checksum("md5", etag, False))
        self.contents = list(contents)

    async def files(self) -> tuple[RemoteFile, ...]:
        return (self.file,)

    async def read(self, _file: RemoteFile, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        yield (self.contents.pop(0) if len(self.contents) > 1 else self.contents[0])[start:end]

    async def close(self) -> None: ...


async def transferred(tmp_path: Path, store: Store) -> bytes:
    partial = Partial(tmp_path, store.identity)
    partial.want(["iris_1"])
    it = Transfer(store, partial, Artifact("s3://models/iris"), LIMITS, Tally())
    await it.run(await it.files())
    return partial.target(store.file).read_bytes()


async def test_an_etag_that_is_no_checksum_is_told_from_a_damaged_file(tmp_path: Path) -> None:
    right = hashlib.md5(b"right").hexdigest()
    assert await transferred(tmp_path / "1", Store(right, b"right")) == b"right"
    assert await transferred(tmp_path / "2", Store(right, b"wrong", b"right")) == b"right"
    # Read twice alike: the store holds this, and its ETag is something else, as where a key of KMS encrypts.
    assert await transferred(tmp_path / "3", Store("0" * 32, b"right")) == b"right"
    with pytest.raises(ArtifactProblem, match=r"model\.onnx does not match its md5"):
        await transferred(tmp_path / "4", Store(right, b"wrong", b"other"))
    assert not list((tmp_path / "4").rglob("model.onnx"))


@pytest.mark.parametrize("modified", ["", "Sun, 22 Nov 2026 20:00:00 GMT"], ids=["nothing", "Last-Modified"])
async def test_parts_are_only_put_together_where_they_can_be_told_to_be_of_one_file(
    cache: Artifacts, modified: str
) -> None:
    async with serving(Web(LARGE, etag="", headers={"last-modified": modified})) as web:
        key = await cache.fetch(IRIS, Artifact(web.url))
    assert contents(cache, key) == {"model.onnx": LARGE}
    assert (len(web.asked) > 2) == bool(modified)
    assert ("" in web.asked) == (not modified)
