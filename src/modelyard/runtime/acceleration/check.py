"""Two models' answers to the same rows, compared. Pure."""

from dataclasses import dataclass

import numpy as np

from modelyard.wire.oip.nouns import BYTES, Array, Tensor


@dataclass(frozen=True, slots=True)
class Limits:
    """`tolerance`: how far numbers may be apart, in units of the largest that the native model answers in their column
    (probabilities: of 1). `label_mismatch`: the share of rows whose labels may differ."""

    tolerance: float = 1e-5
    label_mismatch: float = 0.0005


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference`: the largest, in the units of `Limits`. `labels`: whether the model answers any."""

    rows: int
    difference: float = 0.0
    differing_labels: int = 0
    labels: bool = False

    def problem(self, limits: Limits) -> str | None:
        """Why the compiled model must not answer; None: it may."""
        if self.differing_labels > limits.label_mismatch * self.rows:
            share = self.differing_labels / self.rows
            return (
                f"{self.differing_labels} of {self.rows:,} labels differ from the native model's ({share:.2%}, "
                f"{limits.label_mismatch:.2%} are allowed)"
            )
        if not self.difference <= limits.tolerance:
            return f"its numbers differ by up to {self.difference:.1e} ({limits.tolerance:.0e} are allowed)"
        return None

    def sentence(self) -> str:
        if not self.labels:
            return f"checked on {self.rows:,} rows: largest difference {_power(self.difference)}"
        labels = f"{self.differing_labels} labels differ"
        return f"checked on {self.rows:,} rows: largest difference {_power(self.difference)}, {labels}"


def compare(native: Tensor, compiled: Tensor, *, labels: bool) -> Comparison:
    """The same output of the same rows. `labels`: whether it names classes."""
    mine, theirs = native.data, compiled.data
    rows = len(mine)
    labels = labels or native.datatype == BYTES
    if mine.shape != theirs.shape or native.datatype != compiled.datatype:
        return Comparison(rows, np.inf, rows if labels else 0, labels)
    if not labels:
        return Comparison(rows, _apart(mine, theirs))
    wrong = (mine != theirs).reshape(rows, -1).any(axis=1)
    return Comparison(rows, 0.0, int(np.count_nonzero(wrong)), labels)


def both(one: Comparison, other: Comparison) -> Comparison:
    """Of two outputs of the same rows."""
    return Comparison(
        one.rows,
        max(one.difference, other.difference),
        max(one.differing_labels, other.differing_labels),
        one.labels or other.labels,
    )


def _apart(mine: Array, theirs: Array) -> float:
    """The largest difference; infinite where one is a number and the other is not, or another infinity."""
    if not mine.size:
        return 0.0
    left, right = (it.astype(np.float64).reshape(len(it), -1) for it in (mine, theirs))
    odd = ~np.isfinite(left) | ~np.isfinite(right)
    if odd.any() and not np.array_equal(left[odd], right[odd], equal_nan=True):
        return float(np.inf)
    largest = np.max(np.abs(np.where(odd, 0.0, left)), axis=0)
    apart = np.abs(np.where(odd, 0.0, left) - np.where(odd, 0.0, right))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(largest > 0, apart / np.where(largest > 0, largest, 1.0), np.where(apart > 0, np.inf, 0.0))
    return float(relative.max())


def _power(number: float) -> str:
    return "0" if number == 0 else f"{number:.0e}".replace("e-0", "e-")
