"""Whether somebody listens, and when he stops: a connection that carries nothing ends the moment its server dies."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from modelyard.proxy.desired import Endpoint

CONNECT_SECONDS = 3.0
AGAIN_SECONDS = 0.2


async def listens(endpoint: Endpoint) -> bool:
    """On both ports. One that is too busy to take a connection listens too."""
    for port in (endpoint.http_port, endpoint.grpc_port):
        try:
            await _end(await _connect(endpoint.host, port))
        except TimeoutError:
            continue
        except OSError:
            return False
    return True


async def watch(endpoint: Endpoint, ended: Callable[[], Awaitable[None]]) -> None:
    """Call `ended` whenever a connection to the server ended. Until cancelled.

    To its REST port, to which the agent's other connections lead too: a gRPC server that is told to stop waits for a
    connection that says nothing (Triton 22 s, MLServer 7 s).
    """
    while True:
        with suppress(OSError):
            connection = await _connect(endpoint.host, endpoint.http_port)
            try:
                await connection[0].read(1)
            except OSError:
                pass  # cut off, which is an end too
            finally:
                await _end(connection)
            await ended()
        await asyncio.sleep(AGAIN_SECONDS)


async def _connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_SECONDS)


async def _end(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    connection[1].close()
    with suppress(OSError):
        await connection[1].wait_closed()
