"""Quantities come to whole bytes, or say why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kit.errors import InvalidInput
from modelyard.wire.quantities import SUFFIXES, parse_bytes


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("100Ki", 102_400),
        ("3M", 3_000_000),
        ("1.5Gi", 1_610_612_736),
        ("1k", 1000),
        ("0", 0),
        ("12", 12),
        (12, 12),
        (12.0, 12),
        ("1e6", 1_000_000),
        ("1E3", 1000),
        ("2E", 2 * 10**18),
        ("1Ei", 2**60),
        ("5000m", 5),
        (".5Ki", 512),
        ("+1Mi", 2**20),
        (" 1Mi ", 2**20),
    ],
)
def test_a_quantity_is_so_many_bytes(quantity: str | int | float, expected: int) -> None:
    assert parse_bytes(quantity) == expected


@pytest.mark.parametrize(
    ("quantity", "says"),
    [
        ("", "not a quantity"),
        ("lots", "not a quantity"),
        ("1GB", "did you mean 1Gi or 1G?"),
        ("1kb", "did you mean 1Ki or 1k?"),
        ("1gi", "did you mean 1Gi?"),
        ("5MiB", "did you mean 5Mi?"),
        ("1 Gi", "did you mean"),
        ("0.5", "whole bytes"),
        ("1.0001Ki", "whole bytes"),
        ("500m", "whole bytes"),
        ("-1Mi", "below zero"),
        ("9Ei", "more than"),
        ("1e999", "more than"),
        ("1e99999999999", "no suffix"),
        ("9" * 100, "too long"),
        ("nan", "not a quantity"),
        (float("inf"), "not a quantity"),
        (True, "not a quantity"),
        ("1\n", None),
        ("1_000", "no suffix"),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_reason(quantity: str | float, says: str | None) -> None:
    if says is None:
        assert parse_bytes(quantity) == 1  # blanks around it do no harm
        return
    with pytest.raises(InvalidInput, match=says.replace("?", r"\?")):
        parse_bytes(quantity)


@given(st.integers(0, 2**63 - 1))
def test_plain_bytes_are_themselves(count: int) -> None:
    assert parse_bytes(str(count)) == parse_bytes(count) == count


@given(st.integers(0, 7), st.sampled_from(sorted(SUFFIXES)))
def test_every_suffix_multiplies(count: int, suffix: str) -> None:
    product = count * SUFFIXES[suffix]
    if product.denominator == 1:
        assert parse_bytes(f"{count}{suffix}") == product


@given(st.text(max_size=30))
def test_any_text_is_bytes_or_refused_and_nothing_else(text: str) -> None:
    try:
        count = parse_bytes(text)
    except InvalidInput:
        return
    assert 0 <= count < 2**63
