"""Reading what a front door counts."""

import json
from urllib.parse import unquote

import pytest

from modelyard.proxy.desired import Count
from modelyard.proxy.envoy import door_counts


def answer(**stats: int) -> bytes:
    named = [{"name": f"door.{kind.replace('__', '.model.')}", "value": value} for kind, value in stats.items()]
    return json.dumps({"stats": named}).encode()


def test_counters_and_gauges_of_a_model_belong_together() -> None:
    found = door_counts.read(answer(requests__iris_2=7, in_flight__iris_2=1, requests__wine_1=3))
    assert found == {"iris_2": Count(7, 1), "wine_1": Count(3, 0)}


def test_nothing_was_asked_yet() -> None:
    assert door_counts.read(b'{"stats":[]}') == {}


@pytest.mark.parametrize("strange", [b"", b"[]", b'{"stats":[{"name":"door"}]}', b'{"stats":[{"name":"a.b.c.d"}]}'])
def test_what_is_no_answer_raises(strange: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        door_counts.read(strange)


def test_the_filter_names_one_model_or_all() -> None:
    assert unquote(door_counts.path("iris_2")).endswith(r"filter=^door\.(requests|in_flight)\.model\.iris_2$")
    assert unquote(door_counts.path()).endswith(r"model\..+$")
