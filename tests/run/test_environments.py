"""Environments made by the real `venv` and `pip`, of a package that lies on this disk."""

import asyncio
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from modelyard.kit.errors import Refused, Unavailable
from modelyard.run import environments
from modelyard.run.environments import Environments
from modelyard.run.recipes import Recipe

METADATA = "Metadata-Version: 2.1\nName: tinyserver\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    files = {
        "tinyserver.py": "",
        "tinyserver-1.0.dist-info/METADATA": METADATA,
        "tinyserver-1.0.dist-info/WHEEL": WHEEL,
        "tinyserver-1.0.dist-info/RECORD": "".join(
            f"{it},,\n" for it in ("tinyserver.py", *(f"tinyserver-1.0.dist-info/{n}" for n in ("METADATA", "WHEEL")))
        ),
    }
    with zipfile.ZipFile(folder / "tinyserver-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return folder


def recipe(wheels: Path, package: str = "tinyserver", pythons: tuple[int, int] = (9, 99)) -> Recipe:
    return Recipe(
        config="tiny",
        title="Tiny 1.0",
        steps=(("--no-index", "--find-links", str(wheels), package),),
        modules=("tinyserver",),
        pythons=((3, pythons[0]), (3, pythons[1])),
        megabytes=1,
        capabilities=("tiny",),
        flag="--tiny",
    )


def processes_of(folder: Path) -> list[int]:
    return [it.pid for it in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(it.info["cmdline"] or ())]


async def test_two_at_once_make_it_once_and_a_broken_one_is_made_anew(wheels: Path, tmp_path: Path) -> None:
    tiny, said = recipe(wheels), list[str]()
    first, second = Environments(tmp_path / "cache"), Environments(tmp_path / "cache")
    assert first.made(tiny) is None
    found, same = await asyncio.gather(first.make(tiny, said.append), second.make(tiny, said.append))
    assert found == same == second.made(tiny)
    assert await environments.lacking(found.python, ["tinyserver", "nothing"]) == ("nothing",)
    assert said.count("another process is installing it: waiting for that") == 1
    assert [it for it in said if it.startswith("Tiny 1.0 is")] == [
        f"Tiny 1.0 is being installed into {first.folder(tiny)} (about 1 MB, once)",
        next(it for it in said if it.startswith("Tiny 1.0 is installed, after")),
    ]

    said.clear()
    assert await first.make(tiny, said.append) == found
    assert said == []

    (Path(found.packages) / "tinyserver.py").unlink()
    assert await first.make(tiny, said.append) == found
    assert await environments.lacking(found.python, ["tinyserver"]) == ()
    assert said


async def test_one_that_was_called_off_leaves_no_process_and_passes_for_nothing(wheels: Path, tmp_path: Path) -> None:
    tiny, known = recipe(wheels), Environments(tmp_path / "cache")
    began = asyncio.Event()
    making = asyncio.create_task(known.make(tiny, lambda _: began.set()))
    await began.wait()
    for _ in range(1000):
        if (known.folder(tiny) / "pyvenv.cfg").exists():
            break
        await asyncio.sleep(0.01)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert known.made(tiny) is None
    for _ in range(1000):  # they were killed: the kernel may take a moment
        if not (left := processes_of(tmp_path)):
            break
        await asyncio.sleep(0.01)
    assert not left
    assert (await known.make(tiny, lambda _: None)).python.startswith(str(known.folder(tiny)))


async def test_what_cannot_be_installed_says_why(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the package index cannot be reached, or does not have it"):
        await Environments(tmp_path / "cache").make(recipe(wheels, "no-such-package"), lambda _: None)
    with pytest.raises(Refused, match=r"Tiny 1\.0 needs Python 3\.97 to 3\.99, this is 3\.\d+ and no other is on"):
        await Environments(tmp_path / "cache").make(recipe(wheels, pythons=(97, 99)), lambda _: None)
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"cannot write to .*file"):
        await Environments(tmp_path / "file").make(recipe(wheels), lambda _: None)


async def test_an_environment_whose_python_is_gone_is_made_anew(wheels: Path, tmp_path: Path) -> None:
    tiny, known = recipe(wheels), Environments(tmp_path / "cache")
    found = await known.make(tiny, lambda _: None)
    shutil.rmtree(Path(found.python).parent)
    assert await known.make(tiny, lambda _: None) == found
    assert Path(found.python).exists()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        pytest.param(
            ["Collecting mlserver", "WARNING: Retrying: NewConnectionError(...)", "ERROR: No matching distribution"],
            "the package index cannot be reached, or does not have it",
            id="nobody answers",
        ),
        pytest.param(
            ["Collecting a", "ERROR: Could not install packages due to an OSError: [Errno 28] No space left"],
            "Could not install packages due to an OSError: [Errno 28] No space left",
            id="pip's own sentence",
        ),
        pytest.param(["Killed", ""], "Killed", id="else what was said last"),
        pytest.param([], "it gave no reason", id="nothing said"),
    ],
)
def test_why_an_installation_failed(said: Sequence[str], sentence: str) -> None:
    assert environments.why(said) == sentence


def test_the_cache_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MODELYARD_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert environments.cache_dir() == tmp_path / "modelyard"
    monkeypatch.setenv("MODELYARD_CACHE_DIR", str(tmp_path / "own"))
    assert environments.cache_dir() == tmp_path / "own"
