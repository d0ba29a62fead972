from pathlib import Path

import pytest

from modelyard.domain.names import ReplicaId
from modelyard.run import commands


@pytest.mark.parametrize(
    ("part", "replica"),
    [
        ("runtime-local-0", ReplicaId("local", 0)),
        ("agent-my-gpu-box-12", ReplicaId("my-gpu-box", 12)),
        ("scheduler", None),
        ("gateway", None),
        ("runtime-local-x", None),
    ],
)
def test_a_part_tells_its_replica_by_its_name(part: str, replica: ReplicaId | None) -> None:
    assert commands.replica_of(part) == replica


def test_names_go_back_and_forth() -> None:
    replica = ReplicaId("a-1", 3)
    assert commands.replica_of(commands.agent_name(replica)) == replica
    assert commands.replica_of(commands.runtime_name(replica)) == replica


def test_who_asks_others_ends_first() -> None:
    parts = ["scheduler", "gateway", "runtime-local-0", "agent-local-0", "runtime-local-1"]
    assert commands.ending_order(parts) == (
        ("agent-local-0",),
        ("runtime-local-0", "runtime-local-1"),
        ("gateway",),
        ("scheduler",),
    )


def test_parts_that_are_not_there_are_not_ended() -> None:
    assert commands.ending_order(["scheduler"]) == (("scheduler",),)
    assert commands.ending_order([]) == ()


def test_a_replica_keeps_its_files_apart() -> None:
    assert commands.replica_dir(Path("/s"), ReplicaId("local", 1)) == Path("/s/servers/local/1")
