"""All pages: links lead somewhere, decisions are listed, every command is described."""

import re
from pathlib import Path

import pytest

from modelyard.cli.main import COMMANDS
from tests.docs.guide import DOCS

ROOT = DOCS.parent
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)")
# What GitHub makes of a heading: lower case, hyphens for spaces, most punctuation gone.
UNSPOKEN = re.compile(r"[^\w\- ]")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {UNSPOKEN.sub("", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(page.read_text()):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_decision_is_in_the_index() -> None:
    listed = (DOCS / "adr" / "README.md").read_text()
    decisions = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert len({page.name[:4] for page in decisions}) == len(decisions) > 0
    for page in decisions:
        number, title = int(page.name[:4]), page.read_text().splitlines()[0]
        assert title.startswith(f"# {number}. "), f"{page.name} does not begin with its number"
        assert f"| {number} | [{title.partition('. ')[2]}]({page.name}) |" in listed


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("[0-9]*.md")), ids=lambda page: page.stem)
def test_every_decision_says_why_and_until_when(page: Path) -> None:
    text = page.read_text()
    for part in ("Context", "Decision", "Consequences", "What would change our mind"):
        assert f"**{part}.**" in text


def test_every_page_is_in_the_index() -> None:
    listed = set(LINK.findall((DOCS / "README.md").read_text()))
    assert [page.name for page in DOCS.glob("*.md") if page.name not in listed | {"README.md"}] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_described(command: str) -> None:
    assert f"\n## `modelyard {command}`\n" in (DOCS / "cli.md").read_text()
