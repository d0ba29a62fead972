"""JSON for readers is still the same JSON."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelyard.cli.pretty import pretty

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_it_says_the_same(value: Any) -> None:
    assert json.loads(pretty(value)) == value


def test_plain_lists_stay_on_a_line() -> None:
    assert pretty({"a": [1, 2], "b": [{"c": []}], "d": {}}) == (
        '{\n  "a": [1, 2],\n  "b": [\n    {\n      "c": []\n    }\n  ],\n  "d": {}\n}'
    )
