"""docs/architecture.md is a map: what it names is there, and what is there is on it."""

import re
from pathlib import Path

import pytest

from tests.docs.guide import DOCS

ROOT = DOCS.parent
SOURCE = ROOT / "src" / "modelyard"
TEXT = (DOCS / "architecture.md").read_text()
# A file, or a folder with a slash at its end; `*` stands for any characters of a name.
PATH = re.compile(r"`([\w./*-]*(?:\.(?:py|txt|md|json|proto)|/))`")
LEAST_ROWS = 25


def section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def rows(heading: str) -> list[list[str]]:
    """The cells of its table, without the head."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def missing(named: list[str], *folders: Path) -> list[str]:
    return [path for path in named if not any([*folder.glob(path.rstrip("/"))] for folder in folders)]


def test_every_path_on_the_page_exists() -> None:
    prose = "\n".join(line for line in TEXT.splitlines() if not line.startswith("|"))
    named = [path for path in PATH.findall(prose) if "/" in path.rstrip("/") or path.endswith("/")]
    assert len(named) > 20
    assert missing(named, ROOT, SOURCE, ROOT / "tests") == []


@pytest.mark.parametrize("row", rows("The rooms"), ids=lambda row: row[0])
def test_every_file_named_in_a_room_is_there(row: list[str]) -> None:
    (folder,) = PATH.findall(row[0])
    assert (SOURCE / folder).is_dir()
    assert missing(PATH.findall(row[1]), SOURCE / folder, SOURCE, ROOT) == []


def test_every_package_has_its_room() -> None:
    packages = {path.parent for path in SOURCE.rglob("__init__.py")} - {SOURCE}
    generated = SOURCE / "wire" / "_pb2"
    wanted = {f"{it.relative_to(SOURCE)}/" for it in packages if generated not in it.parents}
    on_the_map = {path for row in rows("The rooms") for path in PATH.findall(row[0])}
    assert on_the_map == wanted


CHANGES = rows("To change …")


def test_the_table_of_changes_is_worth_its_place() -> None:
    assert len(CHANGES) >= LEAST_ROWS


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row[0])
def test_every_place_to_change_and_its_test_are_there(row: list[str]) -> None:
    change, where, tests = row
    assert change
    assert PATH.findall(where), "it names no file"
    assert missing(PATH.findall(where), SOURCE, ROOT) == []
    assert PATH.findall(tests) or "where it is raised" in tests, "it names no test"
    assert missing(PATH.findall(tests), ROOT / "tests") == []


def test_every_invariant_that_the_simulator_checks_is_listed() -> None:
    checked = set(re.findall(r'"([SL]\d+)[":]', (SOURCE / "simulation" / "invariants.py").read_text()))
    listed = {row[0] for row in rows("Invariants")}
    assert checked
    assert checked <= listed
