"""docs/up.md knows every flag and every part."""

import inspect
import re
from pathlib import Path

import pytest
from typer import Typer
from typer.main import get_command

from modelyard.cli import up

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "up.md").read_text()


def flags(function: object) -> list[str]:
    app = Typer()
    app.command()(function)  # type: ignore[type-var]
    return [name for parameter in get_command(app).params for name in parameter.opts if name.startswith("--")]


@pytest.mark.parametrize("flag", [it for it in flags(up.up) if "completion" not in it and it != "--help"])
def test_every_flag_is_described(flag: str) -> None:
    assert f"`{flag}" in PAGE


def test_every_file_that_the_page_names_is_there() -> None:
    run = Path(inspect.getfile(up)).resolve().parents[1] / "run"
    named = re.findall(r"`run/([a-z_]+\.py)`", PAGE)
    assert named
    assert [name for name in named if not (run / name).is_file()] == []
