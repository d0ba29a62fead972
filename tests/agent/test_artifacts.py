import asyncio
import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.agent.artifacts import Artifacts
from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.settings import Limits
from modelyard.agent.storage import transfer, website
from modelyard.agent.storage.sources import Sources
from modelyard.domain.model import Artifact
from modelyard.domain.names import VersionId
from tests.agent.peers import http_server

IRIS, WINE = VersionId("iris", 1), VersionId("wine", 1)
LIMITS = Limits(download_tries=3, artifact_bytes=1 << 20, artifact_files=50, read_seconds=5)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Artifacts]:
    async with website.client(LIMITS) as http:
        it = Artifacts(tmp_path / "agent", Sources(http, tmp_path / "secrets", LIMITS), LIMITS)
        it.open({})
        yield it


def contents(cache: Artifacts, key: str) -> dict[str, bytes]:
    root = cache.path(key)
    return {str(it.relative_to(root)): it.read_bytes() for it in root.rglob("*") if it.is_file()}


def left(tmp_path: Path) -> list[str]:
    root = tmp_path / "agent" / "artifacts"
    return sorted(str(it.relative_to(root)) for it in root.rglob("*") if it.is_file())


def a_zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def a_tar(*members: tarfile.TarInfo, mode: str = "w:gz", **files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for member in members:
            archive.addfile(member)
    return buffer.getvalue()


def a_member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


async def test_a_folder_is_copied_and_another_with_the_same_files_shares_them(cache: Artifacts, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "model.onnx").write_bytes(b"x" * 5000)
    first = await cache.fetch(IRIS, Artifact(str(tmp_path / "one")))
    second = await cache.fetch(WINE, Artifact(f"file://{tmp_path}/two"))
    assert first == second
    assert contents(cache, first) == {"deep/model.onnx": b"x" * 5000}
    await cache.release(IRIS)
    assert cache.have(first)
    await cache.release(WINE)
    assert left(tmp_path) == []


async def test_a_changed_folder_is_another_artifact(cache: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.onnx").write_bytes(b"1")
    first = await cache.fetch(IRIS, Artifact(str(tmp_path / "m")))
    (tmp_path / "m" / "model.onnx").write_bytes(b"2")
    assert await cache.fetch(WINE, Artifact(str(tmp_path / "m"))) != first


async def test_a_single_local_file_keeps_its_name(cache: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "iris.joblib").write_bytes(b"j")
    key = await cache.fetch(IRIS, Artifact(str(tmp_path / "iris.joblib")))
    assert contents(cache, key) == {"iris.joblib": b"j"}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/m/model.onnx", b"onnx", {"model.onnx": b"onnx"}),
        ("/m/my%20model.onnx?token=1", b"onnx", {"my model.onnx": b"onnx"}),
        ("/m.zip", a_zip(**{"model.onnx": b"z", "sub/x": b"y"}), {"model.onnx": b"z", "sub/x": b"y"}),
        ("/m.tar.gz", a_tar(**{"iris/model.onnx": b"t"}), {"model.onnx": b"t"}),
        ("/m.tgz", a_tar(**{"model.onnx": b"t"}), {"model.onnx": b"t"}),
        ("/m.tar", a_tar(mode="w", **{"model.onnx": b"t"}), {"model.onnx": b"t"}),
        (
            "/link.tar",
            a_tar(a_member("model.onnx", tarfile.SYMTYPE, "v2.onnx"), mode="w", **{"v2.onnx": b"t"}),
            {"model.onnx": b"t", "v2.onnx": b"t"},
        ),
    ],
    ids=["a file", "a file with an odd name", "zip", "tar.gz with one folder around it", "tgz", "tar", "inner links"],
)
async def test_downloads(cache: Artifacts, path: str, body: bytes, expected: dict[str, bytes]) -> None:
    async with http_server(lambda *_: (200, {}, body)) as url:
        key = await cache.fetch(IRIS, Artifact(url + path))
    assert contents(cache, key) == expected


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/m.zip", b"this is no archive", "the archive is damaged"),
        ("/m.tar.gz", b"this is no archive", "the archive is damaged"),
        ("/m.tgz", gzip.compress(b"x" * 999)[:-20], "the archive is damaged"),
        ("/m.zip", a_zip(**{"../../evil": b"x"}), "holds a path that leaves it"),
        ("/m.tar", a_tar(mode="w", **{"/etc/evil": b"x"}), "holds a path that leaves it"),
        ("/m.tar", a_tar(a_member("m", tarfile.SYMTYPE, "/etc/passwd"), mode="w"), "holds a link to what is not in it"),
        ("/m.tar", a_tar(a_member("m", tarfile.LNKTYPE, "../x"), mode="w"), "holds a link to what is not in it"),
        ("/m.tar", a_tar(a_member("m", tarfile.FIFOTYPE), mode="w"), "neither file nor folder"),
        ("/m.tar", a_tar(a_member("m", tarfile.CHRTYPE), mode="w"), "neither file nor folder"),
        ("/m.tgz", a_tar(model=b"0" * (2 << 20)), "unpacks to more than 1048576 bytes"),
        ("/m.zip", a_zip(**{f"f{i}": b"" for i in range(60)}), "or 50 files"),
        ("/m.zip", a_zip(), "it holds no files"),
        ("/model.onnx", b"0" * (2 << 20), "larger than 1Mi"),
    ],
)
async def test_bad_downloads_leave_nothing(
    cache: Artifacts, tmp_path: Path, path: str, body: bytes, reason: str
) -> None:
    async with http_server(lambda *_: (200, {}, body)) as url:
        with pytest.raises(ArtifactProblem) as caught:
            await cache.fetch(IRIS, Artifact(url + path))
    assert reason in str(caught.value)
    assert (url + path).partition("?")[0] in str(caught.value)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "a local path must be absolute"),
        ("models/iris", "a local path must be absolute"),
        ("/no/such/model", "/no/such/model does not exist"),
        ("file://elsewhere/model", "must name a path on this machine"),
        ("ftp://models/iris", "there is no storage called 'ftp': use s3://, gs:// or az://, or name a secret"),
        ("s3://models", "it names a whole bucket"),
        ("s3:", "it names no bucket"),
        ("s3://models/a/../b", "its path may not hold"),
        ("s3,access_key_id=x:models/a", "this is no uri that is understood"),
        ("http://127.0.0.1:1/model.onnx", "(tried 3 times)"),
        ("http:///x", "cannot download http:///x"),
    ],
)
async def test_uris_that_cannot_be_fetched_say_why(cache: Artifacts, uri: str, reason: str) -> None:
    with pytest.raises(ArtifactProblem) as caught:
        await cache.fetch(IRIS, Artifact(uri))
    assert reason in str(caught.value)


async def test_an_empty_folder_and_a_pipe_are_no_models(cache: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactProblem, match="it holds no files"):
        await cache.fetch(IRIS, Artifact(str(tmp_path / "empty")))
    os.mkfifo(tmp_path / "empty" / "pipe")
    with pytest.raises(ArtifactProblem, match="neither a file nor a folder"):
        await cache.fetch(IRIS, Artifact(str(tmp_path / "empty")))


async def test_a_full_disk_is_named(cache: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    # /dev/full answers every write with "no space left": the kernel's own error, without a full disk.
    original = os.open

    def to_full(path: Path, flags: int, *more: int, **options: Any) -> int:
        return original("/dev/full" if Path(path).name == "model.onnx" else path, flags, *more, **options)

    monkeypatch.setattr(os, "open", to_full)
    monkeypatch.setattr(os, "pwrite", lambda descriptor, chunk, _offset: os.write(descriptor, chunk))
    async with http_server(lambda *_: (200, {}, b"x" * 100_000)) as url:
        with pytest.raises(ArtifactProblem, match="the disk is full"):
            await cache.fetch(IRIS, Artifact(f"{url}/model.onnx"))


def answers(*statuses: int) -> tuple[Callable[[str, str, bytes], tuple[int, dict[str, str], bytes]], list[str]]:
    asked: list[str] = []

    def answer(_method: str, path: str, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        return statuses[min(len(asked), len(statuses)) - 1], {}, b"model"

    return answer, asked


async def test_a_missing_file_is_not_asked_for_twice(cache: Artifacts) -> None:
    answer, asked = answers(404)
    async with http_server(answer) as url:
        with pytest.raises(ArtifactProblem, match="the server answered 404"):
            await cache.fetch(IRIS, Artifact(f"{url}/model.onnx"))
    assert len(asked) == 1


async def test_trouble_that_passes_is_waited_for(cache: Artifacts) -> None:
    answer, asked = answers(503, 500, 200)
    async with http_server(answer) as url:
        await cache.fetch(IRIS, Artifact(f"{url}/model.onnx"))
    assert len(asked) == 3


async def test_a_download_that_breaks_off_is_not_taken_for_the_file(cache: Artifacts) -> None:
    tries: list[int] = []

    def answer(_method: str, _path: str, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        tries.append(1)
        return 200, {"content-length": "5"}, b"wh" if len(tries) == 1 else b"whole"

    async with http_server(answer) as url:
        key = await cache.fetch(IRIS, Artifact(f"{url}/model.onnx"))
    assert contents(cache, key) == {"model.onnx": b"whole"}
    assert len(tries) == 2


async def test_versions_that_want_the_same_uri_fetch_it_once(cache: Artifacts) -> None:
    go, asked = asyncio.Event(), []

    async def answer(_method: str, path: str, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        await go.wait()
        return 200, {}, b"model"

    async with http_server(answer) as url:
        fetches = [asyncio.create_task(cache.fetch(it, Artifact(f"{url}/model.onnx"))) for it in (IRIS, WINE)]
        while not asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        go.set()
        first, second = await asyncio.gather(*fetches)
    assert first == second
    assert len(asked) == 1
    await cache.release(IRIS)
    assert cache.have(first)


async def test_a_fetch_that_is_called_off_leaves_the_others_theirs(cache: Artifacts, tmp_path: Path) -> None:
    go, asked = asyncio.Event(), []

    async def answer(_method: str, path: str, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        asked.append(path)
        await go.wait()
        return 200, {}, b"model"

    async with http_server(answer) as url:
        fetches = [asyncio.create_task(cache.fetch(it, Artifact(f"{url}/model.onnx"))) for it in (IRIS, WINE)]
        while not asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        fetches[0].cancel()
        go.set()
        key = await fetches[1]
    assert fetches[0].cancelled()
    assert contents(cache, key) == {"model.onnx": b"model"}
    await cache.release(WINE)
    assert left(tmp_path) == []


@pytest.mark.parametrize(("wanted", "chosen"), [(None, b"10"), (2, b"2")], ids=["the highest", "the one asked for"])
async def test_numbered_folders(cache: Artifacts, tmp_path: Path, wanted: int | None, chosen: bytes) -> None:
    for number in ("2", "10"):
        (tmp_path / "m" / number).mkdir(parents=True)
        (tmp_path / "m" / number / "model.onnx").write_bytes(number.encode())
    key = await cache.fetch(IRIS, Artifact(str(tmp_path / "m"), wanted))
    assert contents(cache, key) == {"model.onnx": chosen}


async def test_a_numbered_folder_that_is_missing_is_an_error(cache: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "m" / "2").mkdir(parents=True)
    (tmp_path / "m" / "2" / "model.onnx").write_bytes(b"2")
    with pytest.raises(ArtifactProblem, match=r"it has no version 3 \(artifactVersion\): it has 2"):
        await cache.fetch(IRIS, Artifact(str(tmp_path / "m"), 3))


@pytest.mark.parametrize(("wanted", "chosen"), [(None, "b"), (3, "a")], ids=["the highest", "the one asked for"])
async def test_folders_with_settings_of_mlservers(
    cache: Artifacts, tmp_path: Path, wanted: int | None, chosen: str
) -> None:
    for name, version in (("a", "3"), ("b", "20"), ("c", None)):
        (tmp_path / "m" / name).mkdir(parents=True)
        settings = "this is no JSON" if version is None else f'{{"parameters": {{"version": "{version}"}}}}'
        (tmp_path / "m" / name / "model-settings.json").write_text(settings)
    key = await cache.fetch(IRIS, Artifact(str(tmp_path / "m"), wanted))
    assert key.partition("/")[2] == chosen


async def test_opening_keeps_what_is_in_use_and_clears_the_rest(cache: Artifacts, tmp_path: Path) -> None:
    keys = []
    for version in (IRIS, WINE):
        (tmp_path / version.model).write_bytes(version.model.encode())
        keys.append(await cache.fetch(version, Artifact(str(tmp_path / version.model))))
    (tmp_path / "agent" / "artifacts" / "tmp" / "half").write_bytes(b"done")
    async with website.client(LIMITS) as http:
        cache = Artifacts(tmp_path / "agent", Sources(http, tmp_path / "secrets", LIMITS), LIMITS)
        cache.open({IRIS: keys[0]})
    assert cache.have(keys[0])
    assert not cache.have(keys[1])
    assert len(left(tmp_path)) == 1
