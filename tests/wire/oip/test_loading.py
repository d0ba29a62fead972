"""What our agent and our runtime tell each other about loads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kit.errors import InvalidInput
from modelyard.wire.oip.loading import (
    HeldModel,
    LoadOrder,
    held_from_json,
    held_to_json,
    order_from_json,
    order_to_json,
)

WORDS = st.text(max_size=8)


@given(
    st.builds(LoadOrder, st.lists(WORDS).map(tuple), st.dictionaries(WORDS, WORDS), WORDS, st.none() | st.integers(0))
)
def test_an_order_comes_back_as_it_was(order):
    assert order_from_json(order_to_json(order)) == order


@given(st.lists(st.builds(HeldModel, WORDS, WORDS, st.none() | st.integers(0), WORDS)).map(tuple))
def test_held_models_come_back_as_they_were(models):
    assert held_from_json(held_to_json(models)) == models


def test_a_load_without_words_of_ours_orders_nothing():
    assert order_from_json({}) == order_from_json({"parameters": {"config": "{}"}}) == LoadOrder()
    assert order_to_json(LoadOrder()) == {}


@pytest.mark.parametrize(
    "mine",
    [
        3,
        {"requirements": "onnx"},
        {"requirements": [1]},
        {"parameters": []},
        {"parameters": {"a": 1}},
        {"artifact_version": "1"},
    ],
)
def test_a_wrong_order_is_refused(mine):
    with pytest.raises(InvalidInput):
        order_from_json({"parameters": {"modelyard": mine}})


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"models": [{}]},
        {"models": 3},
        {"models": [{"name": "m", "memory_bytes": -1}]},
        {"models": [{"name": "m", "memory_bytes": "1"}]},
    ],
)
def test_what_is_no_list_of_held_models_is_refused(body):
    with pytest.raises(InvalidInput):
        held_from_json(body)
