"""Listening for HTTP connections, and ending them in an orderly way."""

import asyncio
import contextlib

from modelyard.kit.errors import Refused
from modelyard.runtime.http.connection import MOST_BODY_BYTES, Connection, Handler, OpenConnections


class Listener:
    """`port` is the one it listens on, also when asked for port 0."""

    def __init__(self, server: asyncio.Server, connections: OpenConnections) -> None:
        self._server = server
        self._connections = connections
        self.port: int = server.sockets[0].getsockname()[1]

    async def stop(self, seconds: float) -> None:
        """Accept no more, let requests in flight be answered for that long, then cut what is left."""
        self._server.close()
        for connection in list(self._connections.all):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._connections.none.wait(), seconds)
        for connection in list(self._connections.all):
            connection.abort()
        await self._server.wait_closed()


async def listen(host: str, port: int, handler: Handler, *, most_body_bytes: int = MOST_BODY_BYTES) -> Listener:
    """Raises `Refused` when the port is busy."""
    connections = OpenConnections()
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(handler, connections, most_body_bytes), host, port, backlog=1024
        )
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return Listener(server, connections)
