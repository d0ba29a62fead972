"""Where a model is, in lines of text."""

import pytest

from modelyard.cli.placements import applied_line, dry_run_lines, homeless, reasons
from modelyard.client.results import Applied
from modelyard.domain.names import ReplicaId
from modelyard.domain.status import ApplyOutcome, Explanation, Verdict

PLACED = Explanation(
    "version 1 is on s/0",
    True,
    "s",
    (Verdict(ReplicaId("s", 0), True, "loading"), Verdict(ReplicaId("s", 1), False, "full")),
)
NOWHERE = Explanation(
    "version 1 is nowhere", False, "", tuple(Verdict(ReplicaId("s", index), False, "full") for index in range(9))
)
NOBODY = Explanation("there is no server yet", False)


def test_equal_reasons_share_a_line() -> None:
    verdicts = (*NOWHERE.verdicts[:2], Verdict(ReplicaId("t", 0), False, "lacks onnx"), *PLACED.verdicts)
    assert reasons(verdicts) == ["s/0, s/1, s/1: full", "t/0: lacks onnx"]
    assert reasons(NOWHERE.verdicts) == ["s/0, s/1, s/2, s/3 and 5 more: full"]


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        (Applied("model/a", ApplyOutcome.CREATED, 1, PLACED), "model/a created (version 1): on s/0"),
        (Applied("model/a", ApplyOutcome.NEW_VERSION, 2, PLACED), "model/a has a new version (version 2): on s/0"),
        (Applied("model/a", ApplyOutcome.UNCHANGED, 2, PLACED), "model/a unchanged (version 2): on s/0"),
        (Applied("model/a", ApplyOutcome.CREATED, 1, NOWHERE), "model/a created (version 1)"),
        (Applied("server/s", ApplyOutcome.RESCHEDULED), "server/s rescheduled"),
    ],
)
def test_an_applied_object_is_a_line(applied: Applied, expected: str) -> None:
    assert applied_line(applied) == expected


@pytest.mark.parametrize(
    ("explanation", "expected"),
    [
        (None, []),
        (PLACED, []),
        (NOWHERE, ["model/a has nowhere to go yet:", "  s/0, s/1, s/2, s/3 and 5 more: full"]),
        (NOBODY, ["model/a has nowhere to go yet: there is no server yet"]),
    ],
)
def test_a_model_with_nowhere_to_go_is_warned_of_with_all_reasons(
    explanation: Explanation | None, expected: list[str]
) -> None:
    assert homeless(Applied("model/a", ApplyOutcome.CREATED, 1, explanation)) == expected


@pytest.mark.parametrize(
    ("explanation", "expected"),
    [
        (None, ["model/a would be created (dry run)"]),
        (
            PLACED,
            ["model/a would be created (dry run): version 1 is on s/0", "  s/0: loading", "  not s/1: full"],
        ),
        (
            NOWHERE,
            ["model/a would be created (dry run): it would go nowhere", "  not s/0, s/1, s/2, s/3 and 5 more: full"],
        ),
        (NOBODY, ["model/a would be created (dry run): there is no server yet"]),
    ],
)
def test_a_dry_run_says_where_and_why_not_elsewhere(explanation: Explanation | None, expected: list[str]) -> None:
    assert dry_run_lines(Applied("model/a", ApplyOutcome.CREATED, 1, explanation)) == expected
