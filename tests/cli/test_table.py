"""Columns of text."""

import pytest

from modelyard.cli import table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table.lines(("A", "LONG", "C"), [("aaa", "b", "c"), ("a", "b", "")]) == [
        "A    LONG  C",
        "aaa  b     c",
        "a    b",
    ]


def test_states_are_coloured_where_that_is_wanted() -> None:
    plain, green = (table.lines(("S", "X"), [("Available", "x")], colour=colour)[1] for colour in (False, True))
    assert plain == "Available  x"
    assert green == "\x1b[32mAvailable\x1b[0m  x"
    red = table.lines(("S", "X"), [("ScheduleFailed", "x")], colour=True)[1]
    assert "\x1b[31m" in red


@pytest.mark.parametrize(
    ("terminal", "environment", "expected"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"NO_COLOR": "1", "TERM": "xterm"}, False),
        (True, {"NO_COLOR": "", "TERM": "xterm"}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environment: dict[str, str], expected: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    assert table.wants_colour() is expected
