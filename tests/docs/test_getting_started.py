"""docs/getting-started.md, typed in from its first line to its last, and compared with what it shows."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.guide import DOCS, Command, File, shows, steps
from tests.e2e.yard import DEADLINE_SECONDS, EXAMPLES, Yard, assert_nothing_left

pytestmark = pytest.mark.e2e

GUIDE = DOCS / "getting-started.md"
# The package that is tested is installed already: `make demo` and `make test` do that from nothing.
INSTALLING = ("python3 -m venv .venv", ". .venv/bin/activate", "pip install .")
# These change nothing: they may be asked again until they show what the guide shows a moment later.
LOOKING = re.compile(r"modelyard (status|get|describe|explain|wait)\b")
END = "@@ended "


class Shell:
    """One bash, as a reader has it open, in a copy of what the guide uses of the repository."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self._yard = yard
        self.folder = folder
        variables = {name: value for name, value in yard.environment.items() if name != "XDG_STATE_HOME"}
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**variables, "HOME": str(yard.home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )

    def type(self, command: str) -> tuple[str, int]:
        """What it printed, in the guide's own paths and ports, and its exit code."""
        base = self._yard.port_base
        typed = re.sub(r"\b90(0[0-9])\b", lambda found: str(base + int(found[1])), command)
        typed = typed.replace("modelyard up ", f"modelyard up --port-base {base} ")
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{typed}\necho {END}$?\n")
        self.process.stdin.flush()
        printed = ""
        for line in self.process.stdout:
            before, ended, code = line.partition(END)
            printed += before
            if ended:
                return self._as_in_the_guide(printed), int(code)
        raise AssertionError(f"the shell ended at {command!r}: {printed}")

    def _as_in_the_guide(self, printed: str) -> str:
        for offset in range(10):
            printed = re.sub(rf"\b{self._yard.port_base + offset}\b", str(9000 + offset), printed)
        return printed.replace(str(self._yard.home), "~")

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    it = Yard(tmp_path)
    it.state_dir = tmp_path / ".local" / "state" / "modelyard"
    yield it
    it.end()


@pytest.fixture
def shell(yard: Yard) -> Iterator[Shell]:
    folder = yard.home / "modelyard"
    folder.mkdir()
    (folder / "examples").symlink_to(EXAMPLES)
    it = Shell(yard, folder)
    yield it
    it.end()


def test_every_command_of_the_guide_does_what_it_shows(yard: Yard, shell: Shell) -> None:
    running = None
    for step in steps(GUIDE):
        match step:
            case File(name, text):
                (shell.folder / name).write_text(text)
            case Command(text=text) if text in INSTALLING:
                pass
            case Command():
                if step.text == "modelyard down":
                    running = yard.system()
                follow(shell, step)
    assert running is not None, "the guide does not end with `modelyard down`"
    assert_nothing_left(yard, running)


def follow(shell: Shell, command: Command) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        printed, code = shell.type(command.text)
        if shows(printed, command.shows) and (code != 0) == command.fails:
            return
        again = LOOKING.match(command.text) and time.monotonic() < deadline
        assert again, f"{GUIDE.name}:{command.line}: `{command.text}` ended with {code} and printed:\n{printed}"
        time.sleep(0.2)


def test_the_guide_tells_how_to_install() -> None:
    typed = [step.text for step in steps(GUIDE) if isinstance(step, Command)]
    assert [text for text in INSTALLING if text not in typed] == []
