from pathlib import Path

import pytest

from modelyard.domain.names import ReplicaId
from modelyard.run import commands
from modelyard.run.programs import Program
from modelyard.run.replica import ReplicaPorts


@pytest.mark.parametrize(
    ("part", "replica"),
    [
        ("runtime-local-0", ReplicaId("local", 0)),
        ("agent-my-gpu-box-12", ReplicaId("my-gpu-box", 12)),
        ("door-box-1", ReplicaId("box", 1)),
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
    parts = ["scheduler", "gateway", "runtime-local-0", "agent-local-0", "runtime-local-1", "door-local-0"]
    assert commands.ending_order(parts) == (
        ("agent-local-0",),
        ("door-local-0",),
        ("runtime-local-0", "runtime-local-1"),
        ("gateway",),
        ("scheduler",),
    )


def test_parts_that_are_not_there_are_not_ended() -> None:
    assert commands.ending_order(["scheduler"]) == (("scheduler",),)
    assert commands.ending_order([]) == ()


PORTS = ReplicaPorts(http=1, grpc=2, debug=3, door_http=4, door_grpc=5)


def test_other_servers_are_told_where_to_listen_and_to_load_only_what_they_are_told() -> None:
    replica = ReplicaId("box", 0)
    mlserver = commands.server(Path("/s"), replica, PORTS, "mlserver", Program("/env/bin/python"))
    assert mlserver[0] == "/usr/bin/env"
    said = {"MLSERVER_HOST=127.0.0.1", "MLSERVER_HTTP_PORT=1", "MLSERVER_GRPC_PORT=2", "MLSERVER_PARALLEL_WORKERS=0"}
    assert said | {"MLSERVER_LOAD_MODELS_AT_STARTUP=false"} <= set(mlserver)
    assert mlserver[-2:] == ("start", "/s/servers/box/0/repository")
    triton = commands.server(Path("/s"), replica, PORTS, "triton", Program("/t/bin/tritonserver", "/lib", "/env/bin"))
    assert triton[:4] == ("/usr/bin/env", "LD_LIBRARY_PATH=/lib", "PATH=/env/bin:/bin:/usr/bin", "/t/bin/tritonserver")
    assert {"--http-port=1", "--grpc-port=2", "--model-control-mode=explicit"} <= set(triton)
    assert {"--backend-directory=/t/backends", "--http-address=127.0.0.1"} <= set(triton)


def test_a_server_that_was_named_keeps_the_environment_of_up() -> None:
    program = Program("/opt/tritonserver/bin/tritonserver")
    triton = commands.server(Path("/s"), ReplicaId("box", 0), PORTS, "triton", program)
    assert triton[0] == "/opt/tritonserver/bin/tritonserver"


def test_each_triton_has_shared_memory_of_its_own() -> None:
    prefixes = {
        commands.shared_memory_prefix(Path(state), ReplicaId("box", index))
        for state in ("/a", "/b")
        for index in (0, 1)
    }
    assert len(prefixes) == 4


def test_a_replica_keeps_its_files_apart() -> None:
    assert commands.replica_dir(Path("/s"), ReplicaId("local", 1)) == Path("/s/servers/local/1")
