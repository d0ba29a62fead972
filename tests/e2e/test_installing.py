"""A server that cannot be installed says so, and holds up nothing else."""

from pathlib import Path

import pytest

from tests.e2e.yard import Yard, classes, load_iris, until

pytestmark = pytest.mark.e2e

SERVER = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Server
metadata: {name: tri}
spec: {serverConfig: triton, replicas: 1}
"""


def test_a_server_that_cannot_be_installed_says_why_and_the_rest_is_ready(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    # An empty cache, and a package index that nobody answers at.
    yard.environment |= {"MODELYARD_CACHE_DIR": str(tmp_path / "cache"), "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    yard.environment["PIP_FIND_LINKS"] = ""
    try:
        yard.up("--replicas", "1")
        (tmp_path / "server.yaml").write_text(SERVER)
        yard.do("apply", "-f", str(tmp_path / "server.yaml"))

        def said(words: str) -> bool:
            return words in " ".join(yard.do("describe", "server", "tri").split())

        until(lambda: said("Triton (nvidia-pytriton 0.7.0) is being installed into"), "its beginning is described")
        until(lambda: said("cannot be installed: the package index cannot be reached"), "its end is described")
        yard.down()
        yard.up()  # neither the command nor the scheduler waits for what is not installed
        with yard.client() as client:
            load_iris(client, "iris")
            assert classes(client, "iris", "rest") == [0, 2]
        assert "tri 0/1" in " ".join(yard.do("get", "servers").split())
        assert "installed" in yard.log("up")
    finally:
        yard.end()
