"""Where a version goes, or why nowhere: tables."""

from typing import Any

import pytest

from modelyard.domain.names import ReplicaId
from modelyard.scheduler.placement.place import Placement, Unplaceable, place
from modelyard.scheduler.state import Link, Server
from tests.scheduler.placement.cluster import demand, replica, servers

Case = tuple[dict[str, Any], list[Server]]


def said(it: dict[str, Any], where: list[Server]) -> dict[str, str]:
    return {str(id): reason for id, reason in place(demand(**it), where).reasons.items()}


def chosen(it: dict[str, Any], where: list[Server]) -> list[str]:
    outcome = place(demand(**it), where)
    assert isinstance(outcome, Placement), outcome
    assert {id.server for id in outcome.replicas} == {outcome.server}
    return [str(id) for id in outcome.replicas]


REFUSED = {
    "a model pinned to another server": (
        {"server": "gpu"},
        [replica("local/0")],
        "the model is pinned to server gpu",
    ),
    "a model that is not pinned, on a server that takes only such": (
        {},
        [replica("local/0", shared=False)],
        "takes only models that are pinned to it",
    ),
    "a replica whose agent is lost": ({}, [replica("local/0", link=Link.SUSPECT)], "its agent is lost"),
    "a replica whose agent is lost, and that was only going to load it": (
        {"held": ("local/0",)},
        [replica("local/0", link=Link.SUSPECT)],
        "its agent is lost",
    ),
    "a replica that is only expected": (
        {},
        [replica("local/0", link=Link.EXPECTED)],
        "its agent has not connected yet",
    ),
    "a draining replica": ({}, [replica("local/0", draining=True)], "draining"),
    "a draining replica, even for what it holds": (
        {"loaded": ("local/0",)},
        [replica("local/0", draining=True)],
        "draining",
    ),
    "a missing capability": (
        {"requires": ("onnx", "sklearn")},
        [replica("local/0", can=("sklearn", "python"))],
        "lacks onnx (has python, sklearn)",
    ),
    "two missing capabilities and none at all": (
        {"requires": ("onnx", "gpu")},
        [replica("local/0", can=())],
        "lacks gpu, onnx (has nothing)",
    ),
    "an explainer where none run": (
        {"explainer": True},
        [replica("local/0")],
        "explainers need the capability alibi-explain",
    ),
    "a replica that failed to load it": (
        {"failed": {"local/0": "could not load it: broken"}},
        [replica("local/0")],
        "could not load it: broken",
    ),
    "a replica that is still unloading this version": (
        {"going": ("local/0",)},
        [replica("local/0")],
        "still unloading this version",
    ),
    "a model larger than the memory": (
        {"memory": 1001},
        [replica("local/0")],
        "needs 1001, the replica has 1000 in all",
    ),
    "a model larger than the memory, overcommit or not (S9)": (
        {"memory": 1001},
        [replica("local/0", overcommit=100)],
        "needs 1001, the replica has 1000 in all",
    ),
    "a model larger than what is free": ({"memory": 500}, [replica("local/0", used=600)], "needs 500, 400 free"),
    "a version that does not fit beside the one before": (
        {"memory": 600, "beside": {"local/0": 1}},
        [replica("local/0", used=600)],
        "needs 600, 400 free: does not fit beside version 1",
    ),
    "a peer that says less is free than we think": (
        {"memory": 500},
        [replica("local/0", available=400)],
        "needs 500, 400 free",
    ),
    "a peer, less what is on its way to it": (
        {"memory": 500},
        [replica("local/0", available=800, coming=400)],
        "needs 500, 400 free",
    ),
    "a peer cannot talk itself larger than it is": (
        {"memory": 500},
        [replica("local/0", used=600, available=5000)],
        "needs 500, 400 free",
    ),
    "units that a person compares at a glance": (
        {"memory": 3 << 20},
        [replica("local/0", memory=2 << 20)],
        "needs 3Mi, the replica has 2Mi in all",
    ),
}


@pytest.mark.parametrize(("it", "where", "reason"), REFUSED.values(), ids=REFUSED)
def test_refuses(it: dict[str, Any], where: list[Any], reason: str) -> None:
    outcome = place(demand(**it), servers(*where))
    assert isinstance(outcome, Unplaceable)
    assert [*outcome.reasons.values()] == [reason]
    assert reason in outcome.summary


TAKEN = {
    "the only replica": ({}, [replica("local/0")], ["local/0"]),
    "a pinned model, though others have more room": (
        {"server": "small"},
        [replica("big/0", memory=9000), replica("small/0")],
        ["small/0"],
    ),
    "a pinned model on a server that takes only such": (
        {"server": "local"},
        [replica("local/0", shared=False)],
        ["local/0"],
    ),
    "an explainer where the capability is": (
        {"explainer": True},
        [replica("a/0"), replica("b/0", can=("alibi-explain",))],
        ["b/0"],
    ),
    "a model as large as what is free": ({"memory": 400}, [replica("local/0", used=600)], ["local/0"]),
    "more than the memory in all, by overcommit": (
        {"memory": 500},
        [replica("local/0", used=1000, overcommit=50)],
        ["local/0"],
    ),
    "a held model, though nothing else would fit": (
        {"memory": 600, "loaded": ("local/0",)},
        [replica("local/0", used=1000)],
        ["local/0"],
    ),
    "a loaded model on a replica whose agent is lost": (
        {"loaded": ("local/0",)},
        [replica("local/0", link=Link.SUSPECT)],
        ["local/0"],
    ),
    "rank: loaded before more room": (
        {"loaded": ("local/0",)},
        [replica("local/0", used=900), replica("local/1")],
        ["local/0"],
    ),
    "rank: loading before more room": (
        {"held": ("local/0",)},
        [replica("local/0", used=900), replica("local/1")],
        ["local/0"],
    ),
    "rank: loaded before loading": (
        {"loaded": ("local/1",), "held": ("local/0",)},
        [replica("local/0"), replica("local/1", used=900)],
        ["local/1"],
    ),
    "rank: most free": ({}, [replica("local/0", used=10), replica("local/1")], ["local/1"]),
    "rank: fewest models, where none says its size": (
        {"memory": 0},
        [replica("local/0", used=100, memory=1100), replica("local/1")],
        ["local/1"],
    ),
    "rank: the lowest index": ({}, [replica("local/1"), replica("local/0")], ["local/0"]),
    "the server where it is, though another has more room": (
        {"loaded": ("a/0",), "replicas": 2},
        [replica("a/0"), replica("a/1"), replica("b/0", memory=9000), replica("b/1", memory=9000)],
        ["a/0", "a/1"],
    ),
    "all replicas on another server rather than some on this one": (
        {"loaded": ("a/0",), "replicas": 2, "minimum": 1},
        [replica("a/0"), replica("b/0"), replica("b/1")],
        ["b/0", "b/1"],
    ),
    "at least the minimum, where all will not fit": (
        {"replicas": 3, "minimum": 2},
        [replica("a/0"), replica("a/1"), replica("b/0")],
        ["a/0", "a/1"],
    ),
    "as many as fit above the minimum": (
        {"replicas": 4, "minimum": 1},
        [replica("a/0"), replica("a/1"), replica("b/0")],
        ["a/0", "a/1"],
    ),
}


@pytest.mark.parametrize(("it", "where", "replicas"), TAKEN.values(), ids=TAKEN)
def test_takes(it: dict[str, Any], where: list[Any], replicas: list[str]) -> None:
    assert chosen(it, servers(*where)) == replicas


def test_a_server_that_is_being_taken_down_takes_nothing() -> None:
    where = servers(replica("old/0"), replica("old/1"), given_up=("old",))
    assert said({}, where) == {
        "old/0": "its server is being taken down",
        "old/1": "its server is being taken down",
    }


def test_all_or_nothing_without_a_minimum() -> None:
    outcome = place(demand(replicas=2), servers(replica("a/0"), replica("b/0", draining=True)))
    assert isinstance(outcome, Unplaceable)
    assert outcome.summary == "no server has enough suitable replicas: 2 wanted, at most 1 fit"
    assert {str(id): it for id, it in outcome.reasons.items()} == {
        "a/0": "server a has room for 1 of 2",
        "b/0": "draining",
    }


def test_fewer_replicas_than_wanted_say_why() -> None:
    outcome = place(demand(replicas=2, minimum=1), servers(replica("a/0"), replica("a/1", draining=True)))
    assert isinstance(outcome, Placement)
    assert outcome.short == "1 of 2 replicas: a/1: draining"


def test_without_any_replica_it_says_what_to_do() -> None:
    for server, where in ((None, "there are no server replicas"), ("gpu", "server gpu has no replicas")):
        outcome = place(demand(server=server), [Server("gpu")])
        assert isinstance(outcome, Unplaceable)
        assert outcome.summary == f"{where}: start one, or wait until its agent has connected"


def test_a_summary_stays_short_with_many_replicas() -> None:
    where = servers(*(replica(f"local/{n}", draining=True) for n in range(50)))
    outcome = place(demand(), where)
    assert isinstance(outcome, Unplaceable)
    assert outcome.summary == (
        "no replica can take it (local/0, local/1, local/2, local/3, local/4 and 45 more: draining)"
    )
    assert len(outcome.reasons) == 50
    assert ReplicaId("local", 49) in outcome.reasons
