"""What can be waited for, and when it is so."""

import pytest

from modelyard.client.conditions import Condition, is_met, unmet
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.status import ModelState, ModelStatus, VersionStatus


def status(*states: ModelState, deleted: bool = False) -> ModelStatus:
    model = Model("m", ModelSpec(Artifact("u")))
    versions = (VersionStatus(number, "", state, "why", 0, 0, 0.0, model) for number, state in enumerate(states, 1))
    return ModelStatus("m", tuple(versions), deleted)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("Available", {ModelState.AVAILABLE}),
        ("Unavailable", set(ModelState) - {ModelState.AVAILABLE}),
        ("Deleted", {ModelState.TERMINATED}),
    ],
)
def test_each_condition_is_met_in_its_states_only(condition: Condition, expected: set[ModelState]) -> None:
    assert {it for it in ModelState if is_met(condition, status(it))} == expected


def test_only_the_newest_version_counts() -> None:
    assert not is_met("Available", status(ModelState.AVAILABLE, ModelState.PROGRESSING))
    assert is_met("Available", status(ModelState.FAILED, ModelState.AVAILABLE))


def test_a_deleted_model_is_neither_available_nor_there() -> None:
    gone = status(ModelState.AVAILABLE, deleted=True)
    assert [is_met(it, gone) for it in ("Available", "Unavailable", "Deleted")] == [False, True, True]


def test_waiting_in_vain_says_the_state_and_the_reason() -> None:
    said = unmet("m", "Available", 1.5, status(ModelState.FAILED))
    assert said == "model/m was not Available within 1.5 s: version 1 is Failed: why"
    assert "did not answer" in unmet("m", "Available", 1.5, None)
