"""Names, and what versions are called inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.names import MAX_NAME_LENGTH, ReplicaId, VersionId, name_problem

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize("name", ["a", "7", "iris", "iris-2", "a--b", "0-0", "x" * MAX_NAME_LENGTH])
def test_is_a_name(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["Iris", "iris_2", "-iris", "iris-", "iris.2", "ïris", "iris\n", " iris", "a/b", "x" * (MAX_NAME_LENGTH + 1)],
)
def test_is_no_name_and_says_why(name: str) -> None:
    problem = name_problem(name)
    assert problem is not None
    assert name[:20] in problem or repr(name) in problem


def test_no_name_at_all_is_asked_for() -> None:
    assert name_problem("") == "a name is needed"


@given(NAMES, st.integers(1, 10**9))
def test_the_name_inside_a_server_is_read_back(name: str, number: int) -> None:
    id = VersionId(name, number)
    assert str(id) == f"{name}_{number}"
    assert VersionId.parse(str(id)) == id


@pytest.mark.parametrize(
    "text", ["iris", "iris_", "iris_0", "iris_01", "iris_x", "_1", "Iris_1", "iris_1_2", "iris_1\n"]
)
def test_other_names_in_a_server_are_not_ours(text: str) -> None:
    assert VersionId.parse(text) is None


def test_ids_sort_by_name_and_then_by_number() -> None:
    assert sorted([ReplicaId("b", 0), ReplicaId("a", 10), ReplicaId("a", 9)]) == [
        ReplicaId("a", 9),
        ReplicaId("a", 10),
        ReplicaId("b", 0),
    ]
