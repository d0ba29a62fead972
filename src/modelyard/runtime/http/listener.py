"""Listening for HTTP connections, and ending them in an orderly way."""

import asyncio
import contextlib
from pathlib import Path

from modelyard.kit.errors import Refused
from modelyard.runtime.http import unix_socket
from modelyard.runtime.http.connection import Connection
from modelyard.runtime.http.connections import OpenConnections
from modelyard.runtime.http.messages import Handler
from modelyard.runtime.http.reader import Limits


class Listener:
    """`port` is the one it listens on, also when asked for port 0."""

    def __init__(self, port: int, servers: tuple[asyncio.Server, ...], sockets: tuple[unix_socket.Bound, ...],
                 connections: OpenConnections) -> None:  # fmt: skip
        self._servers = servers
        self._sockets = sockets
        self._connections = connections
        self.port = port

    async def stop(self, seconds: float) -> None:
        """Accept no more, let requests in flight be answered for that long, then cut what is left."""
        for server in self._servers:
            server.close()
        for bound in self._sockets:
            bound.remove()
        for connection in list(self._connections.all):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connections.none.wait(), seconds)
        for connection in list(self._connections.all):
            connection.abort()
        for server in self._servers:
            await server.wait_closed()


async def listen(
    host: str, port: int, handler: Handler, *, socket_path: Path | None = None, limits: Limits | None = None
) -> Listener:
    """On a port, and on a unix socket too where a path is given. Raises `Refused` when one of them is busy."""
    connections = OpenConnections()
    limits = limits or Limits()
    loop = asyncio.get_running_loop()

    def connection() -> Connection:
        return Connection(handler, connections, limits)

    try:
        server = await loop.create_server(connection, host, port, backlog=1024)
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    taken: int = server.sockets[0].getsockname()[1]
    if socket_path is None:
        return Listener(taken, (server,), (), connections)
    try:
        bound = unix_socket.bind(socket_path)
    except Refused:
        server.close()
        raise
    local = await loop.create_unix_server(connection, sock=bound.socket, backlog=1024)
    return Listener(taken, (server, local), (bound,), connections)
