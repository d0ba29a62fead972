"""Bytes in words that a person compares at a glance."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def in_words(size: int) -> str:
    """`1536` -> `1.5 KiB`; exact up to a kibibyte."""
    amount = float(size)
    for unit in _UNITS:
        if abs(amount) < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if amount == int(amount) else f"{amount:.1f} {unit}"
