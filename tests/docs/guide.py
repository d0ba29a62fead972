"""Guides that can be run: files to write, commands to type, and what they show, read from Markdown.

```console         `$ ` a command, then what it prints; `…` stands for any text, alone on a line for any lines
```python, ```yaml with `# name.ext` as the first line: a file of that name
```sh              commands without their output
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

DOCS = Path(__file__).resolve().parents[2] / "docs"
# What differs from run to run, and from machine to machine.
VARIABLE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\(pid \d+"), "(pid N"),
    (re.compile(r"(\brunning +)\d+"), r"\1N"),
    (re.compile(r"\b\d+[sm]$"), "AGE"),
    (re.compile(r"(http|grpc|debug):\d{5}\b"), r"\1:PORT"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class File:
    name: str
    text: str


@dataclass(frozen=True)
class Command:
    line: int
    text: str
    shows: Sequence[str] = field(default_factory=list)

    @property
    def fails(self) -> bool:
        return any(shown.startswith("error: ") for shown in self.shows)


Step: TypeAlias = File | Command


def fences(path: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Each fenced block: its language, the number of its first line, its lines."""
    language: str | None = None
    start, lines = 0, list[str]()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.startswith("```"):
            lines.append(line)
        elif language is None:
            language, start, lines = line.removeprefix("```").strip(), number + 1, []
        else:
            yield language, start, lines
            language, lines = None, []
    assert language is None, f"{path}: a block is not closed"


def steps(path: Path) -> list[Step]:
    """Every file and command of a guide, in order."""
    found: list[Step] = []
    for language, start, lines in fences(path):
        match language:
            case "sh":
                found += [Command(start + offset, line) for offset, line in enumerate(lines) if line]
            case "console":
                found += _commands(start, lines)
            case "python" | "yaml" if lines[0].startswith("# "):
                found.append(File(lines[0].removeprefix("# "), "\n".join(lines) + "\n"))
            case _:
                raise AssertionError(f"{path}:{start}: a block that no test runs: {language or 'no language'}")
    return found


def _commands(start: int, lines: Sequence[str]) -> Iterator[Command]:
    command: tuple[int, str] | None = None
    shows: list[str] = []
    for offset, line in enumerate(lines):
        if line.startswith("$ "):
            if command is not None:
                yield Command(*command, shows)
            command, shows = (start + offset, line.removeprefix("$ ")), []
        else:
            assert command is not None, f"line {start + offset}: output of no command"
            shows.append(line)
    if command is not None:
        yield Command(*command, shows)


def plain(line: str) -> str:
    """A line without what is different each time."""
    for pattern, instead in VARIABLE:
        line = pattern.sub(instead, line.strip())
    return line


def shows(printed: str, expected: Sequence[str]) -> bool:
    """Whether that was printed, and nothing else."""
    pattern = ""
    for line in expected:
        if line.strip() == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in plain(line).split("…")) + r"\n"
    text = "".join(f"{plain(line)}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, text) is not None
