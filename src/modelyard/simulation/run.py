"""One seed from its beginning to its quiet end."""

from collections.abc import Callable

from modelyard.simulation.cluster import Cluster
from modelyard.simulation.events import Timeline
from modelyard.simulation.invariants import Watcher
from modelyard.simulation.workload import Workload, configs

ACTIONS = 40
QUIET_SECONDS = 180.0


def is_calm(seed: int) -> bool:
    """In every third run nothing fails, and the data plane itself is held to account."""
    return seed % 3 == 0


def run(seed: int, *, actions: int = ACTIONS, log: Callable[[float, str], None] = lambda _t, _s: None) -> None:
    """Raises `AssertionError` (of the invariants or of the machines themselves) where something does not hold."""
    timeline = Timeline(seed)
    cluster = Cluster(timeline, configs(timeline), timeline.chance.randint(1, 2), lambda said: log(timeline.now, said))
    calm = is_calm(seed)
    watcher = Watcher(cluster, calm=calm)
    workload = Workload(cluster, calm=calm)
    workload.begin()
    for _ in range(actions):
        until = timeline.now + timeline.chance.choice((0.0, 0.1, 0.5, 2.0, 8.0))
        _let_pass(timeline, watcher, until)
        workload.act()
        watcher.after_step()
    workload.heal()
    _let_pass(timeline, watcher, timeline.now + QUIET_SECONDS)
    workload.heal()
    _let_pass(timeline, watcher, timeline.now + QUIET_SECONDS)
    watcher.at_the_end()


def _let_pass(timeline: Timeline, watcher: Watcher, until: float) -> None:
    while (time := timeline.next_time()) is not None and time <= until:
        timeline.step()
        watcher.after_step()
    timeline.now = max(timeline.now, until)
