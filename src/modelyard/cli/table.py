"""Columns of text, aligned, with colours for states where somebody watches."""

import os
import sys
from collections.abc import Iterable, Sequence

import typer

_GOOD = {"Available", "Connected", "connected", "running"}
_WAITING = {"Progressing", "Expected", "Draining", "Suspect", "Loading", "LoadRequested", "Loaded", "ScaledDown"}
_GOING = {"Terminating", "Unloading", "UnloadRequested", "UnloadEnvoyRequested", "Unloaded", "Terminated"}


def lines(header: Sequence[str], rows: Iterable[Sequence[str]], *, colour: bool = False) -> list[str]:
    """The header and the rows, padded to the widest; the last column is not padded."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    return ["  ".join(_cells(row, widths, colour)).rstrip() for row in table]


def _cells(row: Sequence[str], widths: Sequence[int], colour: bool) -> list[str]:
    padded = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
    return [_coloured(text) for text in padded] if colour else padded


def _coloured(text: str) -> str:
    word = text.strip()
    if word in _GOOD:
        return typer.style(text, fg="green")
    if word in _WAITING:
        return typer.style(text, fg="yellow")
    if word in _GOING:
        return typer.style(text, dim=True)
    if word.endswith(("Failed", "Unavailable")):
        return typer.style(text, fg="red")
    return text


def wants_colour() -> bool:
    """On a terminal only, and not where NO_COLOR is set or the terminal is dumb."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def warn(sentence: str) -> None:
    typer.echo(f"warning: {sentence}", err=True)


def note(sentence: str) -> None:
    typer.echo(f"note: {sentence}", err=True)


def dump(value: object, *, as_yaml: bool) -> None:
    """Print plain values as JSON or YAML."""
    if as_yaml:
        import yaml

        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
    else:
        import json

        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
