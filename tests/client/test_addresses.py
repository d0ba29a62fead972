"""Which scheduler and which gateway a client talks to."""

from pathlib import Path

import pytest

from modelyard.client.addresses import Addresses, host_port
from modelyard.kit.errors import InvalidInput, Unavailable


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MODELYARD_SCHEDULER", "MODELYARD_GATEWAY", "MODELYARD_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_arguments_win_over_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_SCHEDULER", "v:1")
    monkeypatch.setenv("MODELYARD_GATEWAY", "v:2")
    assert (Addresses().scheduler(), Addresses().gateway()) == ("v:1", "v:2")
    assert (Addresses("a:1").scheduler(), Addresses("a:1").gateway()) == ("a:1", "v:2")


def test_a_state_directory_given_wins_over_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELYARD_SCHEDULER", "v:1")
    with pytest.raises(Unavailable, match="no Modelyard is running in"):
        Addresses(state_dir=tmp_path).scheduler()


def test_half_a_remote_system_is_not_filled_up_with_the_local_one() -> None:
    assert Addresses("a:1").scheduler() == "a:1"
    with pytest.raises(InvalidInput, match="give --gateway HOST:PORT or set MODELYARD_GATEWAY"):
        Addresses("a:1").gateway()
    with pytest.raises(InvalidInput, match="give --scheduler HOST:PORT or set MODELYARD_SCHEDULER"):
        Addresses(gateway="a:1").scheduler()


def test_when_nothing_runs_it_says_how_to_start_one() -> None:
    with pytest.raises(Unavailable, match="start one with `modelyard up`"):
        Addresses().scheduler()


@pytest.mark.parametrize(
    ("address", "expected"),
    [("a:1", "a:1"), ("http://a:1/", "a:1"), ("[::1]:9", "[::1]:9"), (" 127.0.0.1:65535 ", "127.0.0.1:65535")],
)
def test_an_address_is_host_and_port(address: str, expected: str) -> None:
    assert host_port(address, "gateway") == expected


@pytest.mark.parametrize("address", ["a", ":1", "a:", "a:0", "a:65536", "a:x", "a:1/b", "http://a/b:1", "a:١"])
def test_another_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="is not the address of a gateway: write HOST:PORT"):
        host_port(address, "gateway")
