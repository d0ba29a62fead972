import os
from pathlib import Path

from modelyard.run import part_log


def test_a_log_that_grew_too_large_is_set_aside_under_the_feet_of_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "part.log"
    descriptor = part_log.open_for(path, fresh=True)
    try:
        os.write(descriptor, b"x" * 100)
        assert not part_log.bound(path, most_bytes=100)
        os.write(descriptor, b"y")
        assert part_log.bound(path, most_bytes=100)
        os.write(descriptor, b"after\n")
    finally:
        os.close(descriptor)
    assert path.read_bytes() == b"after\n"
    assert (tmp_path / "logs" / "part.log.1").read_bytes() == b"x" * 100 + b"y"


def test_the_tail_is_the_last_lines_that_say_something(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    path.write_text("\n\n".join(f"line {number}" for number in range(5000)))
    assert part_log.tail(path, 2) == "line 4998\nline 4999"
    assert part_log.tail(tmp_path / "none.log") == ""
