"""What the front door's process says when it cannot start."""

import socket
from pathlib import Path

import pytest

from modelyard.kit import errors
from modelyard.run import front_door
from tests.agent.peers import free_port


def said(capsys: pytest.CaptureFixture[str]) -> str:
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1
    return sentence


def addresses() -> tuple[str, ...]:
    return ("--http", f"127.0.0.1:{free_port()}", "--grpc", f"127.0.0.1:{free_port()}")


def test_a_busy_port_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        grpc = f"127.0.0.1:{free_port()}"
        code = front_door.main(["--http", f"127.0.0.1:{port}", "--grpc", grpc, "--agent-folder", str(tmp_path)])
    assert code == errors.Refused.exit_code
    assert f"the front door cannot listen on 127.0.0.1:{port}" in said(capsys)


def test_two_hosts_are_one_too_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--http", "127.0.0.1:9999", "--grpc", "localhost:9998", "--agent-folder", str(tmp_path)]
    assert front_door.main(arguments) == errors.InvalidInput.exit_code
    assert "give the same host" in said(capsys)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agent").write_text("a file")
    assert front_door.main([*addresses(), "--agent-folder", str(tmp_path / "agent")]) == errors.Refused.exit_code
    assert str(tmp_path / "agent") in said(capsys)


def test_a_bootstrap_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "door" / "envoy.json").mkdir(parents=True)
    assert front_door.main([*addresses(), "--agent-folder", str(tmp_path)]) == errors.Refused.exit_code
    assert "cannot write" in said(capsys)
