"""Two hundred clusters live through what chance has for them; every invariant holds after every step."""

import pytest

from modelyard.simulation.__main__ import replay
from modelyard.simulation.run import run

SEEDS = 200


@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_every_invariant_holds_in_seeds_from(first: int) -> None:
    for seed in range(first, first + 20):
        try:
            run(seed)
        except AssertionError as broken:
            pytest.fail(f"seed {seed}: {broken}\nreplay it with: {replay(seed)} --verbose")


def test_a_seed_tells_the_same_story_each_time() -> None:
    def story() -> list[str]:
        lines: list[str] = []
        run(17, log=lambda time, said: lines.append(f"{time:.3f} {said}"))
        return lines

    first = story()
    assert len(first) > 50
    assert story() == first
