"""Bytes in words, as Kubernetes quantities: what is printed can be written into a manifest."""

_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi")


def quantity(size_bytes: int) -> str:
    """`1.5Gi`, `100Ki`, `12`: binary, at most one decimal."""
    amount, suffix = float(size_bytes), ""
    for suffix in _SUFFIXES:
        if abs(amount) < 1024 or suffix == _SUFFIXES[-1]:
            break
        amount /= 1024
    return f"{amount:.1f}".removesuffix(".0") + suffix
