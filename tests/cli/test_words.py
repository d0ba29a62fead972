"""Figures in words, and durations from words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.cli import words
from modelyard.kit.errors import InvalidInput


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (0.0, ""),
        (1000.0, "0s"),
        (901.0, "99s"),
        (880.0, "2m"),
        (1001.0, "0s"),
        (1000.0 - 7200, "2h"),
        (-200000.0, "2d"),
    ],
)
def test_an_age_is_short_and_never_below_zero(since: float, expected: str) -> None:
    assert words.age(since, 1000.0) == expected


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("30s", 30), ("30", 30), ("1.5m", 90), ("2m30s", 150), ("500ms", 0.5), ("1h", 3600), (" 5S ", 5), ("0", 0)],
)
def test_a_duration_is_so_many_seconds(duration: str, expected: float) -> None:
    assert words.seconds_of(duration) == expected


@pytest.mark.parametrize("duration", ["", "s", "-1s", "1x", "1m-", "soon", "1 m", "١s", "nan", "1e9s"])
def test_what_is_no_duration_is_refused(duration: str) -> None:
    with pytest.raises(InvalidInput, match="is not a duration"):
        words.seconds_of(duration)


@given(st.text(max_size=10))
def test_any_text_is_a_duration_or_refused(duration: str) -> None:
    try:
        assert words.seconds_of(duration) >= 0
    except InvalidInput:
        pass


def test_a_moment_is_in_utc() -> None:
    assert words.moment(0.0) == ""
    assert words.moment(1700000000.5) == "2023-11-14T22:13:20Z"


def test_things_are_counted() -> None:
    assert [words.counted(number, "part") for number in (0, 1, 2)] == ["0 parts", "1 part", "2 parts"]
