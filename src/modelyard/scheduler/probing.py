"""Does anything answer at an address?"""

import asyncio
import contextlib

PROBE_TIMEOUT_SECONDS = 2.0


async def answers(host: str, port: int) -> bool:
    """Whether a TCP connection is accepted there in time."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
