"""A load generator on raw sockets, in a process of its own.

`python -m bench._load PORT CONNECTIONS SECONDS MODELS [BODY]`

It keeps one request in flight on every connection, takes the models in turn, and prints the number of answers and of
answers other than 200. Envoy's CPU is what is measured: how fast this program is does not matter, only how many
requests it made Envoy answer.
"""

import selectors
import socket
import sys
import time
from dataclasses import dataclass

BODY = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    buffer: bytes = b""


def drive(port: int, connections: int, seconds: float, models: int, body: bytes = BODY) -> tuple[int, int]:
    """Answers, and of those the ones that were not 200."""
    requests = [_request(number, body) for number in range(models)]
    selector = selectors.DefaultSelector()
    answers = failures = turn = 0
    step = max(1, models // 97) | 1  # spread over all models, not the first few
    for _ in range(connections):
        connection = _Connection(socket.create_connection(("127.0.0.1", port)))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.socket.sendall(requests[turn % models])
        turn += step
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(timeout=0.1):
            connection = key.data
            chunk = connection.socket.recv(65536)
            if not chunk:
                raise ConnectionError("the gateway closed a connection")
            connection.buffer += chunk
            if (size := _complete(connection.buffer)) is not None:
                answers += 1
                failures += not connection.buffer.startswith(b"HTTP/1.1 200")
                connection.buffer = connection.buffer[size:]
                connection.socket.sendall(requests[turn % models])
                turn += step
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    selector.close()
    return answers, failures


def _request(number: int, body: bytes) -> bytes:
    head = (
        f"POST /v2/models/m{number}/infer HTTP/1.1\r\nhost: gateway\r\nseldon-model: m{number}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _complete(buffer: bytes) -> int | None:
    """The size of the first whole answer. Answers have a content-length."""
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    start = buffer.index(b"content-length: ") + len(b"content-length: ")
    size = head + 4 + int(buffer[start : buffer.index(b"\r\n", start)])
    return size if len(buffer) >= size else None


if __name__ == "__main__":
    sent = sys.argv[5].encode() if len(sys.argv) > 5 else BODY
    answers, failures = drive(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sent)
    sys.stdout.write(f"{answers} {failures}\n")
