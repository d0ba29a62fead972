"""Rows drawn from a model's own input domain. Pure: the same seed gives the same rows.

Half of the numbers are values at which the model decides: exactly these, and their neighbours in FP32 and FP64. The
others lie between and around them, some far beyond.
"""

from collections.abc import Sequence

import numpy as np

from modelyard.runtime.acceleration.domain import Column
from modelyard.wire.oip.nouns import Array

SEED = 20_000
_MOST_WORDS = 12
_STRANGE = ("qzx", "Ünïcode ß", "UPPER case", "", "don't!")


def rows(columns: Sequence[Column], count: int, *, missing: bool, seed: int = SEED) -> list[Array]:
    """A column of FP64 or of texts (objects) for each column, `count` long. `missing`: whether some are NaN."""
    random = np.random.default_rng(seed)
    return [_texts(it, count, random) if it.text else _numbers(it, count, random, missing=missing) for it in columns]


def _numbers(column: Column, count: int, random: np.random.Generator, *, missing: bool) -> Array:
    known = np.asarray(column.values or [0.0, 1.0], np.float64)
    if not column.strange:
        return random.choice(known, count)
    exact = random.choice(known, count)
    single = exact.astype(np.float32)
    low, high = known.min(), known.max()
    span = (high - low) or abs(high) or 1.0
    kinds = {
        "exact": exact,
        "next below": np.nextafter(exact, -np.inf),
        "next above": np.nextafter(exact, np.inf),
        "single": single.astype(np.float64),
        "single below": np.nextafter(single, np.float32(-np.inf)).astype(np.float64),
        "single above": np.nextafter(single, np.float32(np.inf)).astype(np.float64),
        "around": random.uniform(low - span / 4, high + span / 4, count),
        "near": exact + random.normal(size=count) * span / 20,
        "far": random.choice([-1.0, 1.0], count) * (abs(low) + abs(high) + 1.0) * random.choice([10.0, 1000.0], count),
    }
    shares = np.array([0.1, 0.08, 0.08, 0.08, 0.08, 0.08, 0.3, 0.18, 0.02])
    chosen = random.choice(len(kinds), count, p=shares)
    found = np.choose(chosen, list(kinds.values()))
    if missing:
        found[random.random(count) < 0.05] = np.nan
    return found


def _texts(column: Column, count: int, random: np.random.Generator) -> Array:
    words = np.array(column.words, dtype=object)
    if not column.sentences:
        found = random.choice(words, count)
        if column.strange:
            found[random.random(count) < 0.05] = _STRANGE[0]
        return found
    texts = []
    for _ in range(count):
        some = list(random.choice(words, int(random.integers(1, _MOST_WORDS))))
        if random.random() < 0.2:
            some.insert(int(random.integers(0, len(some) + 1)), str(random.choice(_STRANGE)))
        texts.append(" ".join(some))
    return np.array(texts, dtype=object)
