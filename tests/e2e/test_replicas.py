"""`kind: Server` manifests: replicas come and go while requests flow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.yard import Traffic, Yard, load_iris, running, until

pytestmark = pytest.mark.e2e

SERVER = """\
apiVersion: mlops.seldon.io/v1alpha1
kind: Server
metadata:
  name: {name}
spec:
  serverConfig: {config}
  replicas: {replicas}
"""


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with running(tmp_path, "--replicas", "2") as it:
        yield it


def apply(yard: Yard, *, name: str = "local", replicas: int = 1, config: str = "modelyard") -> str:
    file = yard.home / "server.yaml"
    file.write_text(SERVER.format(name=name, replicas=replicas, config=config))
    return yard.do("apply", "-f", str(file))


def parts(yard: Yard) -> set[str]:
    return {part.name for part in yard.system().parts}


def test_fewer_replicas_drain_the_highest_without_a_failed_request_and_more_start_again(yard: Yard) -> None:
    with yard.client() as client:
        for name in ("one", "two"):
            load_iris(client, name)
        with Traffic(yard, ["one", "two"]) as traffic:
            traffic.until_more()
            apply(yard, replicas=1)
            until(lambda: parts(yard) == {"scheduler", "gateway", "runtime-local-0", "agent-local-0"}, "one replica")
            traffic.until_more()
            assert not (yard.state_dir / "servers" / "local" / "1").exists()
            apply(yard, replicas=2)
            yard.until_whole(client)
            traffic.until_more()
        assert traffic.failures == []
        load_iris(client, "both", replicas=2)


def test_a_new_server_is_started_and_a_deleted_one_stopped(yard: Yard) -> None:
    apply(yard, name="extra", replicas=1)
    until(lambda: {"runtime-extra-0", "agent-extra-0"} <= parts(yard), "the new server runs")
    yard.do("delete", "server", "extra")
    until(lambda: not {"runtime-extra-0", "agent-extra-0"} & parts(yard), "it is gone")


def test_a_server_config_that_is_not_known_is_refused(yard: Yard) -> None:
    file = yard.home / "server.yaml"
    file.write_text(SERVER.format(name="triton", replicas=1, config="tritn"))
    done = yard.run("apply", "-f", str(file))
    assert done.returncode != 0
    assert "there is no server config 'tritn': did you mean triton?" in " ".join(done.stderr.split())
    assert "triton" not in yard.do("get", "servers")
