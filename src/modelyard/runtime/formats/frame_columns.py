"""A column that a model wants, said without pandas, which is imported where a DataFrame is made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """`datatype`: of V2; None where nobody says, so that it is what a client sends. `optional`: may be left out."""

    name: str
    datatype: str | None = None
    content_type: str = ""
    optional: bool = False
