"""What a command is about."""

import pytest

from modelyard.cli.subjects import subject_of
from modelyard.kit.errors import InvalidInput


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("model", "iris", ("model", "iris")),
        ("models", "iris", ("model", "iris")),
        ("Model", "iris", ("model", "iris")),
        ("model/iris", None, ("model", "iris")),
        ("servers/local", None, ("server", "local")),
    ],
)
def test_a_subject_may_be_written_in_several_ways(kind: str, name: str | None, expected: tuple[str, str]) -> None:
    assert subject_of("delete", kind, name) == expected


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        (None, None, "modelyard delete model NAME"),
        ("model", None, "needs a kind and a name"),
        ("model/", None, "needs a kind and a name"),
        ("modle", "iris", "did you mean model"),
        ("pipeline", "p", "there are model, server"),
    ],
)
def test_another_way_is_refused_with_the_right_one(kind: str | None, name: str | None, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        subject_of("delete", kind, name)
