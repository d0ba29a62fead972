"""How many replicas a model wants."""

import pytest

from modelyard.domain.model import Replicas
from modelyard.domain.server import ReplicaConfig


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        pytest.param(Replicas(), None, id="one, by default"),
        pytest.param(Replicas(3, 1, 5), None, id="between bounds"),
        pytest.param(Replicas(1, 0, 5), None, id="down to zero, written out"),
        pytest.param(Replicas(0), "replicas must be at least 1", id="zero is asked for by minReplicas"),
        pytest.param(Replicas(1, 2), "replicas 1 is below minReplicas 2", id="below the minimum"),
        pytest.param(Replicas(4, 4, 3), "minReplicas 4 is above maxReplicas 3", id="bounds that contradict"),
        pytest.param(Replicas(4, None, 3), "replicas 4 is above maxReplicas 3", id="above the maximum"),
    ],
)
def test_contradictions_are_said(counts: Replicas, problem: str | None) -> None:
    said = counts.problem()
    assert said is None if problem is None else said is not None and said.startswith(problem)


@pytest.mark.parametrize(
    ("counts", "enough"),
    [
        pytest.param(Replicas(3), 3, id="all or nothing without a minimum"),
        pytest.param(Replicas(3, 2), 2, id="the minimum is enough"),
        pytest.param(Replicas(3, 0), 3, id="a minimum of zero is about scaling, not about placing"),
    ],
)
def test_enough_is(counts: Replicas, enough: int) -> None:
    assert counts.enough == enough


@pytest.mark.parametrize(("percent", "assignable"), [(0, 1000), (10, 1100), (100, 2000), (33, 1330)])
def test_overcommit_adds_to_what_may_be_assigned(percent: int, assignable: int) -> None:
    assert ReplicaConfig("h", 1, 2, 1000, overcommit_percent=percent).assignable_bytes == assignable
