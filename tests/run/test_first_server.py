import pytest

from modelyard.domain.model import Replicas
from modelyard.domain.server import ServerManifest
from modelyard.run.first_server import ServerWish, first_server

GIB = 1 << 30
DEFAULT = ServerManifest("local", Replicas(2), memory_bytes=GIB)
OTHER = ServerManifest("gpu", Replicas(1))


@pytest.mark.parametrize(
    ("wish", "journaled", "expected"),
    [
        pytest.param(ServerWish(), [], DEFAULT, id="a new system gets the default server"),
        pytest.param(ServerWish(), [DEFAULT], None, id="without flags what was applied stands"),
        pytest.param(ServerWish(), [OTHER], None, id="a user who deleted local does not get it back unasked"),
        pytest.param(ServerWish(replicas=2), [DEFAULT], None, id="a flag that changes nothing applies nothing"),
        pytest.param(
            ServerWish(replicas=3),
            [ServerManifest("local", Replicas(2), extra_capabilities=("x",), memory_bytes=5)],
            ServerManifest("local", Replicas(3), extra_capabilities=("x",), memory_bytes=5),
            id="a flag changes only what it names",
        ),
        pytest.param(
            ServerWish(replicas=1),
            [ServerManifest("local", Replicas(3, 2, 5))],
            ServerManifest("local", Replicas(1, 1, 5)),
            id="a minimum gives way to the flag",
        ),
        pytest.param(
            ServerWish(replicas=9),
            [ServerManifest("local", Replicas(3, 2, 5))],
            ServerManifest("local", Replicas(9, 2, 9)),
            id="a maximum gives way to the flag",
        ),
        pytest.param(
            ServerWish(memory_bytes=7), [OTHER], ServerManifest("local", Replicas(2), memory_bytes=7), id="memory"
        ),
    ],
)
def test_first_server(wish: ServerWish, journaled: list[ServerManifest], expected: ServerManifest | None) -> None:
    assert first_server(wish, journaled) == expected
