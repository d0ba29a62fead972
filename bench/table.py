"""How figures are printed: what was measured, the figure, what was hoped for."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    figure: str
    target: str = ""
    met: bool | None = None  # None: only reported


def show(title: str, rows: Iterable[Row]) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("what", "figure", "target", ""):
        table.add_column(column)
    for row in rows:
        table.add_row(row.what, row.figure, row.target, {True: "met", False: "missed", None: ""}[row.met])
    Console(width=120).print(table)
