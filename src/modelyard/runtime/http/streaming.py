"""Write a response whose body comes in pieces, no faster than the client reads."""

import asyncio
from collections.abc import Mapping

from modelyard.runtime.http.messages import Request, Streamed, chunk, head, last_chunk

_NO_TRAILERS: Mapping[str, str] = {}


async def stream(
    transport: asyncio.Transport, writable: asyncio.Event, request: Request, streamed: Streamed, *, close: bool
) -> None:
    """Raises what the pieces raise, once their source is closed."""
    chunked = not request.http_1_0
    framing = b"transfer-encoding: chunked\r\n" if chunked else b""
    transport.write(head(200, streamed.content_type, framing, streamed.headers, request, close=close))
    trailers = _NO_TRAILERS
    try:
        async for piece in streamed.pieces:
            if isinstance(piece, Mapping):
                trailers = piece
                break
            transport.writelines(chunk(piece) if chunked else [piece])
            await writable.wait()
    finally:
        close_source = getattr(streamed.pieces, "aclose", None)
        if close_source is not None:
            await close_source()
    if chunked:
        transport.write(last_chunk(trailers))
