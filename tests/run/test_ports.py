import os
import socket
from collections.abc import Iterator

import pytest

from modelyard.kit.errors import InvalidInput, Refused
from modelyard.run import ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as it:
        it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server does
        it.bind(("127.0.0.1", 0))
        it.listen()
        yield it


def test_the_offsets_are_the_references() -> None:
    assert ports.fixed_ports(9000) == ports.FixedPorts(9000, 9002, 9004, 9005, 9008)


@pytest.mark.parametrize("base", [-1, 0, 80, 65000, 70000])
def test_an_impossible_base_is_refused(base: int) -> None:
    with pytest.raises(InvalidInput, match=f"--port-base {base} cannot be"):
        ports.fixed_ports(base)


def test_a_busy_port_is_named_with_who_holds_it(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(Refused, match=rf"port {port}, which the gateway needs, is in use by .* \(pid {os.getpid()}\)"):
        ports.require_free(port, "gateway")


def test_a_port_that_was_let_go_is_free_at_once(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as client:
        accepted, _ = listener.accept()
        accepted.close()  # the server closes first: its side lingers
        client.recv(1)
    listener.close()
    assert ports.is_free(port)


def test_taken_ports_are_left_out() -> None:
    first = ports.take_free(20000, 3)
    second = ports.take_free(20000, 3, first)
    assert not set(first) & set(second)
    assert all(port >= 21000 for port in (*first, *second))
