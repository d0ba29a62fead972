"""Bytes in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kit.sizes import portion, quantity
from modelyard.wire.quantities import parse_bytes


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0"), (1023, "1023"), (1024, "1Ki"), (1536, "1.5Ki"), (2**30, "1Gi"), (3 * 2**29, "1.5Gi"), (2**60, "1024Pi")],
)
def test_a_size_is_short(size_bytes: int, text: str) -> None:
    assert quantity(size_bytes) == text


@given(st.integers(0, 1023), st.sampled_from([2**0, 2**10, 2**20, 2**30, 2**40]))
def test_a_manifest_understands_it(count: int, unit: int) -> None:
    assert parse_bytes(quantity(count * unit)) == count * unit


@pytest.mark.parametrize(
    ("here", "total", "text"),
    [
        (0, 1 << 30, "0 % of 1Gi"),
        (350, 1024, "34 % of 1Ki"),
        (1023, 1024, "99 % of 1Ki"),
        (4096, 2048, "100 % of 2Ki"),
        (2048, None, "2Ki so far"),
        (0, 0, "0 so far"),
    ],
)
def test_a_portion_says_of_what(here: int, total: int | None, text: str) -> None:
    assert portion(here, total) == text
