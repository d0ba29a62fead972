"""Taking a path for a unix socket, and leaving nothing behind."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.kit.errors import Refused
from modelyard.runtime.http import unix_socket


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("s")
    yield folder / "x.sock"
    assert list(folder.iterdir()) == []


def test_only_the_same_user_may_connect_and_the_file_goes_with_its_owner(path: Path):
    bound = unix_socket.bind(path)
    with bound.socket:
        assert path.stat().st_mode & 0o777 == 0o600
        bound.remove()
        assert not path.exists()
        bound.remove()


def test_the_path_of_who_died_is_taken_over(path: Path):
    unix_socket.bind(path).socket.close()
    assert path.exists()
    bound = unix_socket.bind(path)
    with bound.socket:
        bound.socket.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        bound.remove()


def test_who_was_replaced_removes_nothing(path: Path):
    first = unix_socket.bind(path)
    first.socket.close()
    second = unix_socket.bind(path)
    with second.socket:
        first.remove()
        assert path.exists()
        second.remove()


def test_a_path_that_is_listened_on_is_refused(path: Path):
    bound = unix_socket.bind(path)
    with bound.socket:
        bound.socket.listen()
        with pytest.raises(Refused, match="another process does"):
            unix_socket.bind(path)
        bound.remove()


def test_what_is_no_socket_is_not_touched(path: Path):
    path.write_text("mine")
    with pytest.raises(Refused, match="something that is no socket"):
        unix_socket.bind(path)
    assert path.read_text() == "mine"
    path.unlink()


@pytest.mark.parametrize(
    ("path", "says"),
    [("/tmp/" + "x" * 103, "at most 107 bytes"), ("/nowhere/x.sock", "No such file or directory")],
    ids=["too long", "no folder"],
)
def test_a_path_that_cannot_be_is_refused(path: str, says: str):
    with pytest.raises(Refused, match=says):
        unix_socket.bind(Path(path))
