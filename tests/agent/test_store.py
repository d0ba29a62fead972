import json
from pathlib import Path

import pytest

from modelyard.agent.messages import Kept
from modelyard.agent.store import Store
from modelyard.domain.agent_protocol import ModelVersion
from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from tests.agent.stories import a_version

IRIS = a_version()
FULL = ModelVersion(
    Model(
        "full",
        ModelSpec(Artifact("s3://x", 3, b""), frozenset({"sklearn"}), 7, "local", (("a", "b"),)),
        Replicas(2, 1, 4),
        "ns",
        9,
    ),
    12,
)


def test_what_was_saved_is_found_by_the_next_process(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.open().fresh
    store.save(Kept(IRIS))
    store.save(Kept(FULL, "abc/1", 12_000))
    store.save(Kept(IRIS, "def"))
    found = Store(tmp_path).open()
    assert found.kept == (Kept(FULL, "abc/1", 12_000), Kept(IRIS, "def"))
    assert not found.fresh
    assert not found.damaged


def test_what_was_forgotten_is_gone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open()
    store.save(Kept(IRIS))
    store.forget(IRIS.id)
    store.forget(IRIS.id)
    assert Store(tmp_path).open().kept == ()


@pytest.mark.parametrize("how", ["torn", "changed", "another size", "empty", "another version's"])
def test_a_damaged_file_is_set_aside_and_the_rest_is_read(tmp_path: Path, how: str) -> None:
    store = Store(tmp_path)
    store.open()
    store.save(Kept(IRIS, "abc", 77))
    store.save(Kept(FULL, "def"))
    path = tmp_path / "state" / "iris_1.json"
    content = path.read_bytes()
    path.write_bytes(
        {
            "torn": content[: len(content) // 2],
            "changed": content.replace(b"abc", b"abd"),
            "another size": content.replace(b"77", b"78"),
            "empty": b"",
            "another version's": (tmp_path / "state" / "full_12.json").read_bytes(),
        }[how]
    )
    found = Store(tmp_path).open()
    assert found.damaged
    assert found.kept == (Kept(FULL, "def"),)
    assert (tmp_path / "state" / "iris_1.damaged").exists()
    assert not Store(tmp_path).open().damaged


def test_a_write_that_was_cut_off_is_cleared_away(tmp_path: Path) -> None:
    Store(tmp_path).open()
    (tmp_path / "state" / "iris_1.json.123.new").write_bytes(b"half")
    assert Store(tmp_path).open().kept == ()
    assert list((tmp_path / "state").glob("*.new")) == []


def test_a_file_from_before_sizes_were_measured_is_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open()
    store.save(Kept(IRIS, "abc"))
    path = tmp_path / "state" / "iris_1.json"
    content = json.loads(path.read_bytes())
    del content["measured_bytes"]
    path.write_text(json.dumps(content))
    assert Store(tmp_path).open().kept == (Kept(IRIS, "abc"),)
