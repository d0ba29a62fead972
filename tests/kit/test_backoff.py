"""Waiting longer after each failure."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from modelyard.kit.backoff import delays


def test_it_doubles_up_to_the_most() -> None:
    assert list(islice(delays(1, 15, jitter=lambda: 0), 6)) == [1, 2, 4, 8, 15, 15]


@given(st.floats(0.01, 10), st.floats(10, 100))
def test_jitter_shortens_by_a_quarter_at_the_most(first: float, most: float) -> None:
    longest = islice(delays(first, most, jitter=lambda: 0), 10)
    for wait, plain in zip(islice(delays(first, most), 10), longest, strict=True):
        assert 0.75 * plain <= wait <= plain <= most
