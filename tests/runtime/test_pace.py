"""Which models may run on the event loop."""

import pytest

from modelyard.runtime.pace import QUICK_SECONDS, SLOW_SECONDS, TRIALS, Pace

QUICK, SLOW, BETWEEN = QUICK_SECONDS / 10, SLOW_SECONDS * 10, (QUICK_SECONDS + SLOW_SECONDS) / 2


def after(*seconds: float) -> Pace:
    pace = Pace()
    for it in seconds:
        pace.saw(it)
    return pace


@pytest.mark.parametrize(
    ("seconds", "on_loop"),
    [
        pytest.param([QUICK] * (TRIALS - 1), False, id="not before it has been tried often enough"),
        pytest.param([QUICK] * TRIALS, True, id="a quick one after its trials"),
        pytest.param([SLOW, QUICK, QUICK], True, id="a first call that pays for what is done once does not count"),
        pytest.param([SLOW] * TRIALS, False, id="never a slow one"),
        pytest.param([BETWEEN] * 20, False, id="not one that is neither"),
        pytest.param([SLOW] * TRIALS + [QUICK] * 20, True, id="one that became quick"),
        pytest.param([QUICK] * TRIALS + [SLOW], False, id="no longer after one very slow call"),
        pytest.param([QUICK] * TRIALS + [BETWEEN] * 20, True, id="still when it is a little slower"),
    ],
)
def test_a_model_runs_on_the_loop(seconds: list[float], on_loop: bool):
    assert after(*seconds).on_loop is on_loop
