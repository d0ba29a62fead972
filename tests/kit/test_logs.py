"""Log lines of a process: on standard error, marked with its part."""

import subprocess
import sys

PROGRAM = """
import logging
from modelyard.kit import logs
logs.configure("scheduler", "{level}")
logging.getLogger("modelyard.x").info("hello %s", "you")
logging.getLogger("modelyard.x").debug("details")
logging.getLogger("httpx").info("every request")
"""


def said(level: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM.format(level=level)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_line_has_time_level_part_and_sentence() -> None:
    (line,) = said("info")
    assert line.split(maxsplit=1)[1] == "INFO    scheduler: hello you"
    assert line[4] == "-"


def test_the_level_is_the_one_asked_for() -> None:
    assert [it.split()[1] for it in said("debug")] == ["INFO", "DEBUG"]
    assert said("warning") == []
