"""Text becomes plain values with their lines; what could blow up is refused."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kit.errors import InvalidInput
from modelyard.wire.documents import Document, read_documents

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
)


def values(text: str) -> list[Any]:
    return [it.value for it in read_documents(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("---\n---\n# nothing\n---\n", []),
        ("a: 1\n---\n\n---\nb: [x, 2, true, null]\n", [{"a": 1}, {"b": ["x", 2, True, None]}]),
        ("base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\n", [{"base": {"x": 1, "y": 2}, "more": {"x": 1, "y": 3}}]),
        ("x: &s text\ny: *s\n", [{"x": "text", "y": "text"}]),
        ("when: 2024-01-01T00:00:00Z\n", [{"when": "2024-01-01T00:00:00Z"}]),
        ('{\n\t"a": "\\ud83d\\ude00"}', [{"a": "😀"}]),
        ("{a: 1}", [{"a": 1}]),
        ("[1]\n---\n[2]\n", [[1], [2]]),
    ],
)
def test_text_is_so_many_documents(text: str, expected: list[Any]) -> None:
    assert values(text) == expected


def test_a_path_knows_its_line_or_that_of_what_is_around_it() -> None:
    document = next(read_documents("a: 1\nb:\n  - c: 2\n  - d:\n      e: 3\n"))
    lines = {
        path: document.line(path)
        for path in [("a",), ("b", 0, "c"), ("b", 1, "d", "e"), ("b", 1, "d", "nothing"), ("nothing",)]
    }
    assert lines == {
        ("a",): 1,
        ("b", 0, "c"): 3,
        ("b", 1, "d", "e"): 5,
        ("b", 1, "d", "nothing"): 4,
        ("nothing",): 1,
    }


def test_documents_are_numbered_with_the_empty_ones() -> None:
    assert [it.number for it in read_documents("---\n---\na: 1\n---\nb: 1\n")] == [2, 3]
    assert Document(1, {}).line(("a",)) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "line 2: 'a' is given twice"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ("1: x\n", "line 1: the key 1 must be text"),
        ("? [a]\n: x\n", "line 1: a key must be text"),
        ("a: [1\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system [x]\n", "line 1"),
        ("a: !!int x\n", "line 1"),
        ("a: *nothing\n", "line 1: not valid YAML: found undefined alias"),
        ("a: &a [*a]\n", "an alias stands inside what it names"),
        ("[" * 100, "nested more than 64 deep"),
        ("[" * 100_000, "nested more than 64 deep"),
        ('{"a":' * 100_000, "nested more than 64 deep"),
        ("x\x00y", "not valid YAML"),
        (BOMB, "write out what is really meant"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        values(text)


def test_deep_nesting_through_aliases_is_refused() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{level}: &a{level} [*a{level - 1}]\n" for level in range(1, 90))
    with pytest.raises(InvalidInput, match="nested more than 64 deep"):
        values(text)


def test_a_big_honest_text_is_read() -> None:
    text = "".join(f"---\nname: m{number}\nlist: [1, 2, 3]\n" for number in range(5000))
    started = time.monotonic()
    assert len(values(text)) == 5000
    assert time.monotonic() - started < 60


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        list(read_documents(text))
    except InvalidInput:
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=("C",))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", min_size=1), JSON, max_size=3))
def test_what_yaml_writes_comes_back(value: dict[str, Any]) -> None:
    import yaml

    assert values(yaml.safe_dump(value)) == [value]
