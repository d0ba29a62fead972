"""The command line as a whole: help, docs, exit codes, and how commands end."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from modelyard.cli import main
from modelyard.kit import errors

DOCS = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
MODELYARD = Path(sys.executable).with_name("modelyard")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MODELYARD, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def command(name: str) -> Any:
    return typer.main.get_command(main.app).get_command(None, name)  # type: ignore[attr-defined]


def help_of(name: str) -> str:
    result = CliRunner().invoke(main.app, [name, "--help"])
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_teaches_with_an_example(name: str) -> None:
    assert re.search(rf"Example:\s+(?:.*\n)*?.*modelyard {name}\b", help_of(name)), help_of(name)


@pytest.mark.parametrize(("name", "entry"), main.COMMANDS.items())
def test_the_list_of_commands_says_what_the_command_itself_says_first(name: str, entry: main.Entry) -> None:
    first_sentence = " ".join(command(name).help.split()).split(". ")[0].rstrip(".") + "."
    assert first_sentence == entry.summary


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_docs_tell_of_every_command_and_every_option(name: str) -> None:
    text = DOCS.read_text()
    section = re.split(r"^## ", text.split(f"## `modelyard {name}`", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    common = text.split("## Which system", 1)[1].split("\n## ", 1)[0]
    for parameter in command(name).params:
        for option in [it for it in parameter.opts if it.startswith("--") and it != "--help"]:
            assert f"`{option}" in section + common, f"{name} {option}"


def test_the_docs_have_every_exit_code() -> None:
    codes = {error.exit_code for error in (errors.ModelyardError, *errors.KINDS)}
    for code in sorted(codes | {0, main.INTERRUPTED, main.PIPE_CLOSED}):
        assert re.search(rf"^\| {code} \|", DOCS.read_text(), re.MULTILINE), code
        assert re.search(rf"^ +{code}  ", CliRunner().invoke(main.app, ["--help"]).output, re.MULTILINE), code


def test_help_imports_neither_grpc_nor_numpy_nor_pydantic() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from modelyard.cli import main;"
        "assert 'explain' in CliRunner().invoke(main.app, ['--help']).output;"
        "assert not {'grpc', 'numpy', 'pydantic', 'httpx', 'modelyard.client.aio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_mistyped_command_or_option_is_refused_with_the_nearest_one() -> None:
    done = run("aply")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'apply'?" in done.stderr
    done = run("get", "models", "--scheduller", "x")
    assert done.returncode == 2
    assert "--scheduler" in done.stderr


def test_without_a_command_the_help_is_shown() -> None:
    done = run()
    assert "Exit codes:" in done.stdout + done.stderr


def test_the_version_is_printed() -> None:
    from modelyard import __version__

    assert run("version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("error", errors.KINDS)
def test_every_error_of_ours_is_one_line_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: type[errors.ModelyardError]
) -> None:
    result = invoke(monkeypatch, error("it is so"))
    assert (result.exit_code, result.stderr) == (error.exit_code, "error: it is so\n")


def test_what_nobody_expected_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(main.DEBUG_VARIABLE, raising=False)
    result = invoke(monkeypatch, ZeroDivisionError("a\nb"))
    assert result.exit_code == 1
    assert result.stderr == "error: unexpected: ZeroDivisionError: a b; set MODELYARD_DEBUG=1 for the traceback\n"


def test_the_traceback_is_there_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(main.DEBUG_VARIABLE, "1")
    result = invoke(monkeypatch, ZeroDivisionError("a"))
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(monkeypatch, KeyboardInterrupt())
    assert (result.exit_code, result.output) == (130, "")


def invoke(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Any:
    """Run a command that ends in this error."""

    def failing() -> None:
        raise error

    import modelyard.cli.version

    monkeypatch.setattr(modelyard.cli.version, "version", failing)
    return CliRunner().invoke(main.app, ["version"])


def test_a_reader_that_goes_away_is_no_reason_to_complain() -> None:
    code = (
        "from modelyard.cli import main\nimport modelyard.cli.version as it\n"
        "import typer\ndef version():\n  for _ in range(100000): typer.echo('x' * 100)\n"
        "it.version = version\nmain.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == main.PIPE_CLOSED
    process.stderr.close()


def test_the_manifests_in_the_docs_are_manifests() -> None:
    from modelyard.wire.manifests import parse_manifest

    (block,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert [it.subject for it in parse_manifest(block)] == ["model/iris", "server/local"]
