import dataclasses
import os
from pathlib import Path

import pytest

from modelyard.kit.errors import Unavailable
from modelyard.run import processes, system
from modelyard.run.system import Part, System


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELYARD_STATE_DIR", raising=False)


def system_in(directory: Path, *, create_time: float | None = None) -> System:
    me = processes.identify(os.getpid())
    assert me is not None
    directory.mkdir(parents=True, exist_ok=True)
    found = System(
        version="0.1.0",
        pid=me.pid,
        create_time=me.create_time if create_time is None else create_time,
        state_dir=str(directory),
        port_base=9000,
        gateway="127.0.0.1:9000",
        scheduler="127.0.0.1:9004",
        agents="127.0.0.1:9005",
        xds="127.0.0.1:9002",
        parts=(Part("scheduler", me.pid, me.create_time, {"api": 9004}, 2, "/x.log", ("python", "-m", "x")),),
    )
    system.write(found)
    return found


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert system_in(tmp_path) == system.read(tmp_path)


def test_finds_the_system_of_an_explicit_directory(tmp_path: Path) -> None:
    written = system_in(tmp_path / "a")
    assert system.find(tmp_path / "a") == written


def test_finds_the_system_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = system_in(tmp_path / "a")
    monkeypatch.setenv("MODELYARD_STATE_DIR", str(tmp_path / "a"))
    assert system.find() == written


def test_finds_the_default_system_before_others(tmp_path: Path) -> None:
    other, default = system_in(tmp_path / "a"), system_in(system.default_state_dir())
    system.announce(Path(other.state_dir))
    assert system.find() == default


def test_finds_the_only_system_of_this_user_wherever_it_is(tmp_path: Path) -> None:
    other = system_in(tmp_path / "a")
    system.announce(tmp_path / "a")
    assert system.find() == other


def test_several_systems_elsewhere_must_be_told_apart(tmp_path: Path) -> None:
    for name in "ab":
        system_in(tmp_path / name)
        system.announce(tmp_path / name)
    with pytest.raises(Unavailable, match=r"2 systems of yours are running: choose one with --state-dir"):
        system.find()


def test_a_retracted_system_is_not_found(tmp_path: Path) -> None:
    system_in(tmp_path / "a")
    system.announce(tmp_path / "a")
    system.retract(tmp_path / "a")
    with pytest.raises(Unavailable, match=r"no Modelyard is running for this user"):
        system.find()


def test_nothing_running_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"start one with `modelyard up --state-dir .*/a`, or name one with --sch"):
        system.find(tmp_path / "a")


def test_a_dead_system_is_not_found_though_its_pids_are_in_use(tmp_path: Path) -> None:
    dead = system_in(tmp_path, create_time=1.0)
    system.write(dataclasses.replace(dead, parts=(dataclasses.replace(dead.parts[0], create_time=1.0),)))
    with pytest.raises(Unavailable):
        system.find(tmp_path)


def test_parts_that_a_killed_supervisor_left_are_found(tmp_path: Path) -> None:
    left = system_in(tmp_path, create_time=1.0)
    assert system.find(tmp_path) == left


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"parts": 3}', '{"parts": [], "colour": "red"}'])
def test_a_broken_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "system.json").write_text(text)
    assert system.read(tmp_path) is None


def test_a_relative_directory_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert system.state_dir("here") == tmp_path / "here"


def test_part_knows_its_process(tmp_path: Path) -> None:
    part = system_in(tmp_path).parts[0]
    assert part.process.is_alive()
    assert not dataclasses.replace(part, create_time=1.0).process.is_alive()
