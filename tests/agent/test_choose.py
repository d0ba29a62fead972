"""Which folder of an artifact is the model."""

import pytest

from modelyard.agent.choose import WHOLE, Contents, folder


@pytest.mark.parametrize(
    ("contents", "wanted", "chosen"),
    [
        pytest.param(Contents(), None, None, id="nothing to choose"),
        pytest.param(Contents(("assets",)), None, None, id="folders without numbers"),
        pytest.param(Contents(("9", "10", "assets")), None, "10", id="the highest number"),
        pytest.param(Contents(("9", "10")), 9, "9", id="the number wanted"),
        pytest.param(Contents(("1", "2"), ours=True), 1, None, id="settings of ours speak for the whole"),
        pytest.param(Contents(("1", "2"), mlserver={WHOLE: None}), 2, None, id="settings at the top do too"),
        pytest.param(Contents(("a",), mlserver={"a/b": "7"}), 3, "a/b", id="the only settings, whatever the version"),
        pytest.param(
            Contents(("1", "2"), mlserver={"1": None, "2": None}), None, "2", id="settings in numbered folders"
        ),
        pytest.param(
            Contents(("1", "2"), mlserver={"1": None, "2": None}), 1, "1", id="the number wanted, with settings"
        ),
        pytest.param(Contents(("a", "b"), mlserver={"a": "3", "b": "20"}), None, "b", id="the highest version named"),
        pytest.param(Contents(("a", "b"), mlserver={"a": "3", "b": "20"}), 3, "a", id="the version wanted and named"),
        pytest.param(Contents(("1",), mlserver={WHOLE: None, "1": None}), None, "1", id="the one that has a version"),
        pytest.param(Contents(("1",), mlserver={WHOLE: "5", "1": None}), None, None, id="the top has the highest"),
        pytest.param(Contents(("a", "b"), mlserver={"a": "v1", "b": None}), None, None, id="settings without versions"),
        pytest.param(Contents(("²",)), None, None, id="a digit that is no number"),
    ],
)
def test_the_folder_is_chosen(contents: Contents, wanted: int | None, chosen: str | None) -> None:
    assert folder(contents, wanted) == chosen


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        pytest.param(Contents(), "it has no numbered folders", id="nothing is numbered"),
        pytest.param(Contents(("1", "2")), "it has 1, 2", id="other numbers"),
        pytest.param(Contents(("a", "b"), mlserver={"a": "3", "b": None}), "it has 3", id="other versions named"),
    ],
)
def test_a_missing_version_is_said_with_those_that_are_there(contents: Contents, says: str) -> None:
    with pytest.raises(LookupError, match=rf"no version 7 \(artifactVersion\): {says}"):
        folder(contents, 7)
