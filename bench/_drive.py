"""Load by programs in C, which cost little beside what they measure: wrk for REST, h2load for gRPC."""

import json
import re
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

JSON = {"content-type": "application/json"}
GRPC = {"content-type": "application/grpc", "te": "trailers"}
WRK, H2LOAD = shutil.which("wrk"), shutil.which("h2load")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, to be sent again and again. `body` of gRPC is the message without its frame."""

    port: int
    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    grpc: bool = False


def frame(message: bytes) -> bytes:
    """As gRPC sends it."""
    return struct.pack(">BI", 0, len(message)) + message


def missing() -> str:
    """What has to be installed first; empty when nothing."""
    wanted = [package for found, package in ((WRK, "wrk"), (H2LOAD, "nghttp2-client")) if found is None]
    return f"needs the Debian packages {' and '.join(wanted)}" if wanted else ""


def requests_per_second(ask: Ask, connections: int, seconds: float, scratch: Path) -> tuple[float, int]:
    """Per second, and how many in all. Raises `RuntimeError` when one was not answered by 200."""
    return (_h2load if ask.grpc else _wrk)(ask, connections, seconds, scratch)


def _wrk(ask: Ask, connections: int, seconds: float, scratch: Path) -> tuple[float, int]:
    assert WRK is not None
    body = scratch / "wrk.body"
    body.write_bytes(ask.body)
    headers = "".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}\n" for k, v in ask.headers.items())
    script = scratch / "wrk.lua"
    script.write_text(
        f"wrk.method = 'POST'\nlocal file = io.open({json.dumps(str(body))}, 'rb')\n"
        f"wrk.body = file:read('*a')\nfile:close()\n{headers}"
        "done = function(summary)\n"
        "  local e = summary.errors\n"
        "  local bad = e.status + e.connect + e.read + e.write + e.timeout\n"
        "  io.write('\\nsummary ' .. summary.requests .. ' ' .. summary.duration .. ' ' .. bad .. '\\n')\n"
        "end\n"
    )
    url = f"http://127.0.0.1:{ask.port}{ask.path}"
    command = [WRK, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script), url]
    out = subprocess.check_output(command, text=True)
    summary = re.search(r"^summary (\d+) (\d+) (\d+)$", out, re.MULTILINE)
    if summary is None or int(summary[3]) or not int(summary[1]):
        raise RuntimeError(f"{ask.path} on port {ask.port}: not every request was answered by 200: {out[-300:]}")
    return int(summary[1]) / int(summary[2]) * 1e6, int(summary[1])


def _h2load(ask: Ask, connections: int, seconds: float, scratch: Path) -> tuple[float, int]:
    """Each connection has one call in flight."""
    assert H2LOAD is not None
    body = scratch / "h2load.body"
    body.write_bytes(frame(ask.body))
    headers = {**GRPC, **ask.headers}
    command = [H2LOAD, "-t1", f"-c{connections}", "-m1", "-D", f"{seconds:g}", "-d", str(body)]
    for key, value in headers.items():
        command += ["-H", f"{key}: {value}"]
    out = subprocess.check_output([*command, f"http://127.0.0.1:{ask.port}{ask.path}"], text=True)
    total = re.search(r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded", out)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", out)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out)
    if total is None or rate is None or codes is None or int(codes[3]) or int(codes[4]) or not int(codes[1]):
        raise RuntimeError(f"{ask.path} on port {ask.port}: not every call was answered by 200: {out[-300:]}")
    return float(rate[1]), int(codes[1])
