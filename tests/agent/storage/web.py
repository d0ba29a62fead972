"""A web server with ranges that breaks connections on purpose."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field


@dataclass
class Web:
    """One file at every path. `breaks`: after how many bytes of the body each next answer ends; None: it is whole."""

    content: bytes
    etag: str = '"one"'
    headers: Mapping[str, str] = field(default_factory=dict)
    ranges: bool = True
    breaks: list[int | None] = field(default_factory=list)
    damage: list[bool] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    stall: bool = False  # after half a body nothing more comes
    asked: list[str] = field(default_factory=list)  # the Range headers
    sent: int = 0
    url: str = ""
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            found = re.search(r"range: bytes=(\d+)-(\d*)", head)
            self.asked.append(found[0].removeprefix("range: ") if found else "")
            status, start, end = self._status(found)
            body = self.content[start:end] if status < 300 else b""
            match = re.search(r"if-match: (\S+)", head)
            if match and match[1] != self.etag.lower():
                status, body = 412, b""
            lines = {"content-length": str(len(body)), "connection": "close", **self.headers}
            if self.etag:
                lines["etag"] = self.etag
            if status == 206:
                lines["content-range"] = f"bytes {start}-{end - 1}/{len(self.content)}"
            if self.damage and self.damage.pop(0):
                body = bytes(len(body))
            cut = self.breaks.pop(0) if self.breaks and status < 300 else None
            text = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v)
            writer.write(text.encode() + b"\r\n" + body[: len(body) // 2 if self.stall else cut])
            self.sent += len(body[:cut])
            await writer.drain()
            if self.stall:
                await asyncio.Event().wait()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _status(self, found: "re.Match[str] | None") -> tuple[int, int, int]:
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return status, 0, 0
        if not found or not self.ranges:
            return 200, 0, len(self.content)
        start = int(found[1])
        if start >= len(self.content):
            return 416, 0, 0
        return 206, start, min(int(found[2]) + 1 if found[2] else len(self.content), len(self.content))


@contextlib.asynccontextmanager
async def serving(web: Web) -> AsyncIterator[Web]:
    server = await asyncio.start_server(web._serve, "127.0.0.1", 0)
    web.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/model.onnx"
    try:
        yield web
    finally:
        server.close()
        for task in web.tasks:
            task.cancel()
        await asyncio.gather(*web.tasks, return_exceptions=True)
