"""Looking whether a part answers: false rather than an error, whatever goes wrong."""

import asyncio
import contextlib

import grpc.aio

from modelyard.run.ports import HOST
from modelyard.wire import control, grpc_server, service

SECONDS = 2.0


async def port_open(port: int, host: str = HOST) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), SECONDS)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def http_ok(port: int, path: str, host: str = HOST) -> bool:
    """A GET that answers 200."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), SECONDS)
    except (OSError, TimeoutError):
        return False
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        status = await asyncio.wait_for(reader.readline(), SECONDS)
        return status.split()[1:2] == [b"200"]
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def scheduler_answers(address: str) -> bool:
    # A channel per look: a shared one would wait out its own backoff after the first refusal.
    async with grpc_server.channel(address) as channel:
        stub = service.Stub(channel, service.CONTROL)
        try:
            await stub.GetSystem(control.GetSystemRequest(), timeout=SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return True
