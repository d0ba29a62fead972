"""The cheapest server that can stand behind Envoy: a fixed answer. `python -m bench._upstream`; prints its port."""

import asyncio
import sys
from typing import cast

BODY = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"INT64","data":[0]}]}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Answer(asyncio.Protocol):
    """Every request that Envoy sends here is small, so its end is where the body's last bracket is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"]}]}")) >= 0:
            self._buffer = self._buffer[end + 4 :]
            self._transport.write(ANSWER)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(_main())
    else:
        uvloop.run(_main())
