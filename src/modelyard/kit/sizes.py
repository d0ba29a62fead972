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


def portion(size_bytes: int, total_bytes: int | None) -> str:
    """`34 % of 1.2Gi`; of an unknown total `400Mi so far`."""
    if not total_bytes:
        return f"{quantity(size_bytes)} so far"
    return f"{min(size_bytes, total_bytes) * 100 // total_bytes} % of {quantity(total_bytes)}"
