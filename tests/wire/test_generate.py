"""proto/generate.py --check: passes on what is checked in, and notices whatever differs from it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("grpc_tools")


def check(root: Path) -> tuple[int, str]:
    command = [sys.executable, str(root / "proto" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copytree(ROOT / "src/modelyard/wire/_pb2", tmp_path / "src/modelyard/wire/_pb2")
    return tmp_path


def test_what_is_checked_in_is_what_the_protos_give(copy: Path) -> None:
    assert check(ROOT) == (0, "")
    assert check(copy) == (0, "")


def test_a_changed_proto_is_noticed(copy: Path) -> None:
    proto = copy / "proto/seldon/mlops/agent/agent.proto"
    proto.write_text(proto.read_text().replace("uint64 availableMemoryBytes = 6;", "uint64 availableMemoryBytes = 7;"))
    code, said = check(copy)
    assert code == 1
    assert "Generated code is stale" in said
    assert "seldon/mlops/agent/agent_pb2.py" in said


def test_a_hand_edited_module_is_noticed(copy: Path) -> None:
    module = copy / "src/modelyard/wire/_pb2/inference/grpc_service_pb2.py"
    module.write_text(module.read_text() + "\nX = 1\n")
    code, said = check(copy)
    assert code == 1
    assert "inference/grpc_service_pb2.py" in said


@pytest.mark.parametrize("kind", ["missing", "left over"])
def test_a_module_too_few_or_too_many_is_noticed(copy: Path, kind: str) -> None:
    folder = copy / "src/modelyard/wire/_pb2/modelyard/v1"
    if kind == "missing":
        (folder / "agent_pb2.py").unlink()
    else:
        (folder / "old_pb2.py").write_text("")
    code, said = check(copy)
    assert code == 1
    assert "modelyard/v1/" in said


def test_generating_again_makes_it_right(copy: Path) -> None:
    (copy / "src/modelyard/wire/_pb2/modelyard/v1/agent_pb2.py").unlink()
    subprocess.run([sys.executable, str(copy / "proto/generate.py")], check=True, timeout=120)
    assert check(copy) == (0, "")
