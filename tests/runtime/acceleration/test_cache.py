"""What is kept of compiled models: whole, bounded, and compiled again where it is damaged."""

import json
import os
import shutil
from pathlib import Path

import pytest

from modelyard.runtime.acceleration import plan
from modelyard.runtime.acceleration.cache import Cache, Kept
from modelyard.runtime.acceleration.check import Comparison
from modelyard.runtime.acceleration.plan import Input, Output, Plan

PLAN = Plan(
    inputs=(Input("age", (0,), "FP64"), Input("city", (1,), "BYTES")),
    outputs=(Output("predict", "label", "INT64"),),
    width=2,
    names=("age", "city"),
    missing=True,
    known={1: frozenset({"Rome", "Oslo"})},
    comparison=Comparison(4000, 1e-9, 0, True),
    native={"predict_proba": "its numbers differ"},
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "kept", most_bytes=11_000)


def put(cache: Cache, key: str, content: bytes) -> Kept:
    with cache.work_folder() as made:
        (made / "model.onnx").write_bytes(content)
        (made / "report.json").write_text(json.dumps({"plan": plan.to_json(PLAN)}))
        return cache.put(key, made)


def names(cache: Cache) -> set[str]:
    return {it.name for it in cache.folder.iterdir()}


def test_what_was_put_is_got(cache: Cache):
    assert cache.get("a") is None
    assert put(cache, "a", b"graph") == Kept(b"graph", PLAN) == cache.get("a")
    assert names(cache) == {"a"}


def test_a_reason_is_kept_only_where_it_will_be_the_same_again(cache: Cache):
    for key, keep in (("a", True), ("b", False)):
        with cache.work_folder() as made:
            (made / "report.json").write_text(json.dumps({"reason": "no such operator", "keep": keep}))
            assert cache.put(key, made) == Kept(reason="no such operator")
    assert cache.get("a") == Kept(reason="no such operator")
    assert cache.get("b") is None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.onnx", b"grapg"),
        ("model.onnx", b""),
        ("report.json", b""),
        ("report.json", b"[]"),
        ("report.json", b"{}"),
        ("report.json", b'{"plan": {}, "sha256": ""}'),
    ],
)
def test_a_damaged_entry_is_gone(cache: Cache, file: str, content: bytes):
    put(cache, "a", b"graph")
    (cache.folder / "a" / file).write_bytes(content)
    assert cache.get("a") is None
    assert names(cache) == set()
    assert put(cache, "a", b"graph") == cache.get("a")


def test_what_was_used_longest_ago_makes_room(cache: Cache):
    for key in "abc":
        put(cache, key, b"x" * 3000)
        _age(cache)
    assert cache.get("a") is not None
    put(cache, "d", b"x" * 3000)
    assert names(cache) == {"a", "c", "d"}
    put(cache, "e", b"x" * 20_000)
    assert names(cache) == {"e"}


def _age(cache: Cache) -> None:
    """All that is there by a minute."""
    for it in cache.folder.iterdir():
        then = it.stat().st_mtime - 60
        os.utime(it, (then, then))


def test_the_same_may_be_put_twice(cache: Cache):
    put(cache, "a", b"graph")
    assert put(cache, "a", b"graph") == cache.get("a")
    assert names(cache) == {"a"}


def test_half_done_work_of_the_dead_is_swept_and_that_of_the_living_is_not(cache: Cache):
    put(cache, "a", b"graph")
    dead = cache.folder / f"tmp-{2**22 + 1}-x"
    dead.mkdir()
    with cache.work_folder() as mine:
        cache.sweep()
        assert names(cache) == {"a", mine.name}
    assert names(cache) == {"a"}


def test_a_disk_that_refuses_costs_only_the_keeping(cache: Cache, monkeypatch: pytest.MonkeyPatch):
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert put(cache, "a", b"graph") == Kept(b"graph", PLAN)
    assert cache.get("a") is None
    assert names(cache) == set()


def test_a_folder_that_vanished_is_made_anew(cache: Cache):
    put(cache, "a", b"graph")
    shutil.rmtree(cache.folder)
    assert cache.get("a") is None
    assert put(cache, "a", b"graph") == cache.get("a")
