"""Kubernetes quantities such as `100Ki`, `3M` and `1.5Gi` to whole bytes.

A quantity is a decimal number and a suffix: Ki Mi Gi Ti Pi Ei (powers of 1024), k M G T P E (powers of 1000),
m u n (parts), or a decimal exponent (`1e6`). Parts of a byte are refused, whatever way they are written.
"""

import re
from fractions import Fraction

from modelyard.kit.errors import InvalidInput

_BINARY = {suffix: Fraction(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {suffix: Fraction(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)}
_PARTS = {suffix: Fraction(1, 1000**power) for power, suffix in enumerate(("m", "u", "n"), 1)}
SUFFIXES = {"": Fraction(1), **_BINARY, **_DECIMAL, **_PARTS}
MAX_BYTES = 2**63 - 1

_QUANTITY = re.compile(r"(?P<number>[+-]?([0-9]+\.?[0-9]*|\.[0-9]+))(?P<rest>.*)", re.DOTALL)
_EXPONENT = re.compile(r"[eE](?P<power>[+-]?[0-9]{1,3})")
_MAX_LENGTH = 64
_EXAMPLES = "write it like 500M or 1.5Gi"


def parse_bytes(quantity: str | int | float) -> int:
    """Whole bytes. Raises `InvalidInput` with a sentence that names the quantity but not where it stands."""
    if isinstance(quantity, bool) or not isinstance(quantity, str | int | float):
        raise InvalidInput(f"{quantity!r} is not a quantity: {_EXAMPLES}")
    text = str(quantity).strip()
    if len(text) > _MAX_LENGTH:
        raise InvalidInput(f"the quantity {text[:20]}… is too long: {_EXAMPLES}")
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise InvalidInput(f"{text!r} is not a quantity: {_EXAMPLES}")
    amount = Fraction(found["number"]) * _factor(text, found["rest"])
    if amount < 0:
        raise InvalidInput(f"{text!r} is below zero")
    if amount.denominator != 1:
        raise InvalidInput(f"{text!r} does not come to whole bytes")
    if amount > MAX_BYTES:
        raise InvalidInput(f"{text!r} is more than {MAX_BYTES} bytes")
    return int(amount)


def _factor(text: str, suffix: str) -> Fraction:
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if exponent := _EXPONENT.fullmatch(suffix):
        return Fraction(10) ** int(exponent["power"])
    near = _nearest(suffix)
    hint = f"did you mean {' or '.join(text[: -len(suffix)] + it for it in near)}?" if near else _EXAMPLES
    raise InvalidInput(f"{text!r} is not a quantity: there is no suffix {suffix!r}; {hint}")


def _nearest(suffix: str) -> list[str]:
    """`KB`, `gb`, `GiB`, `mi` and the like; small m is a thousandth, which nobody means with bytes."""
    bare = suffix.strip().lower().removesuffix("b")
    return [it for it in (*_BINARY, *_DECIMAL) if it.lower() == bare or (bare and it.lower() == f"{bare}i")]
