"""Where an agent and its front door meet."""

from pathlib import Path

from modelyard.agent import door_files


def test_sockets_are_where_only_this_user_can_go(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / ("long" * 30)):
        folder.mkdir(exist_ok=True)
        where = door_files.sockets(folder)
        assert where == door_files.sockets(folder)
        assert where.control.parent == where.admin.parent
        assert where.control.parent.stat().st_mode & 0o777 == 0o700
        assert len(str(where.control)) <= door_files.LONGEST_SOCKET_PATH
    assert where.control.parent != tmp_path / ("long" * 30) / "door"
    where.control.parent.rmdir()
