"""The reader of guides itself: a test that cannot fail would be worth nothing."""

from pathlib import Path

import pytest

from tests.docs.guide import Command, File, shows, steps


def write(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text)
    return page


def test_commands_and_files_come_in_their_order(tmp_path: Path) -> None:
    page = write(
        tmp_path, "A page\n```console\n$ one\nsaid\n$ two\n```\n```python\n# a.py\nx = 1\n```\n```sh\nthree\n```\n"
    )
    assert steps(page) == [
        Command(3, "one", ["said"]),
        Command(5, "two", []),
        File("a.py", "# a.py\nx = 1\n"),
        Command(12, "three"),
    ]


def test_a_block_that_would_not_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no test runs"):
        steps(write(tmp_path, "```\nmodelyard up\n```\n"))


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a  b 12s\n", ["a b   3s"]),
        ("begin\nx\ny\nend\n", ["begin", "…", "end"]),
        ("end\n", ["…", "end"]),
        ("is at 127.0.0.1:9000 (pid 1)\n", ["is … (pid 7)"]),
        ("", []),
    ],
)
def test_what_is_shown_was_printed(printed: str, expected: list[str]) -> None:
    assert shows(printed, expected)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("a\nb\n", ["a"]),
        ("a\n", ["a", "b"]),
        ("a\nx\nb\n", ["a", "b"]),
        ("2/2\n", ["1/2"]),
        ("said\n", []),
        ("", ["…", "end"]),
    ],
)
def test_what_is_shown_was_not_printed(printed: str, expected: list[str]) -> None:
    assert not shows(printed, expected)
