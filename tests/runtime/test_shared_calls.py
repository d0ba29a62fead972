"""Requests over REST and gRPC that share calls, on real sockets. The server runs in this process, so that a test can
be sure that everything it sent arrives in one turn of the loop."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelyard.runtime import server
from modelyard.runtime.server import Server
from modelyard.wire import grpc_server, service
from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from tests.runtime import artifacts
from tests.runtime.http.clients import Talk, read_all
from tests.runtime.test_lane import counting

DEADLINE = 20
LINGER_NOT = struct.pack("ii", 1, 0)  # closing resets the connection


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Server]:
    counting(tmp_path, "counts")
    counting(tmp_path, "counts-patiently", max_batch_size=8, max_batch_time_ms=60_000)
    artifacts.file(tmp_path, "plain/model.onnx", artifacts.identity("FP32"))
    started = await server.start(server.Settings(tmp_path))
    for name in ("counts", "counts-patiently", "plain"):
        await started.repository.load(name)
    yield started
    await started.stop(0)


def post(model: str, rows: int = 1, data=None) -> bytes:
    values = [0] * rows * 2 if data is None else data
    body = json.dumps({"inputs": [{"name": "x", "shape": [rows, 2], "datatype": "FP32", "data": values}]}).encode()
    head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: x\r\nx-request-id: {rows}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class Client:
    """A connection whose `send` does not let the loop run. A second one may arrive later (Nagle)."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._read = b""

    @classmethod
    async def connect(cls, running: Server) -> "Client":
        """Returns when the server has taken the connection."""
        connection = socket.socket()
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", running.http_port))
        client = cls(connection)
        client.send(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await client.answer())[0] == 200
        return client

    def send(self, content: bytes) -> None:
        assert self.socket.send(content) == len(content)

    async def answer(self) -> tuple[int, str, dict]:
        """Status, head and body of the next answer."""
        async with asyncio.timeout(DEADLINE):
            while b"\r\n\r\n" not in self._read:
                await self._more()
            head, _, self._read = self._read.partition(b"\r\n\r\n")
            text = head.decode()
            size = int(text.partition("content-length: ")[2].partition("\r")[0])
            while len(self._read) < size:
                await self._more()
        body, self._read = self._read[:size], self._read[size:]
        return int(text.split()[1]), text, json.loads(body)

    async def _more(self) -> None:
        chunk = await asyncio.get_running_loop().sock_recv(self.socket, 65536)
        assert chunk, "the server closed the connection"
        self._read += chunk


@pytest.fixture
async def clients(running: Server) -> AsyncIterator[list[Client]]:
    found = [await Client.connect(running) for _ in range(6)]
    yield found
    for it in found:
        it.socket.close()


def in_call(answer: tuple[int, str, dict]) -> int:
    """How many rows were in the call."""
    status, _, body = answer
    assert status == 200, body
    return int(body["outputs"][0]["data"][0])


async def test_requests_on_several_connections_share_a_call(clients: list[Client]):
    for it in clients:
        it.send(post("counts"))
    assert [in_call(await it.answer()) for it in clients] == [6] * 6


async def test_pipelined_requests_share_a_call_and_are_answered_in_order(clients: list[Client]):
    clients[0].send(post("counts", 1) + post("counts", 2) + post("counts", 3))
    clients[1].send(post("counts", 4))
    answers = [await clients[0].answer() for _ in range(3)] + [await clients[1].answer()]
    assert [in_call(it) for it in answers] == [10] * 4
    assert [it[2]["outputs"][0]["shape"][0] for it in answers] == [1, 2, 3, 4]
    assert ["x-request-id: 3" in it[1] for it in answers] == [False, False, True, False]


async def test_bad_requests_and_other_models_are_answered_in_their_place(clients: list[Client]):
    bad = post("counts", data=["text"] * 2)
    clients[0].send(post("counts") + post("nowhere") + post("counts") + bad + post("plain") + post("counts"))
    answers = [await clients[0].answer() for _ in range(6)]
    assert [it[0] for it in answers] == [200, 404, 200, 400, 400, 200]
    assert [in_call(answers[it]) for it in (0, 2, 5)] == [3, 3, 3]


async def until_in_use(running: Server, requests: int) -> None:
    async with asyncio.timeout(DEADLINE):
        while running.repository.get("counts-patiently").requests != requests:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_the_request_of_a_client_who_resets_its_connection_does_not_run(clients: list[Client], running: Server):
    for it in clients:
        it.send(post("counts-patiently"))
    await until_in_use(running, len(clients))
    clients[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    clients[0].socket.close()
    await until_in_use(running, len(clients) - 1)
    missing = 8 - (len(clients) - 1)
    clients[1].send(post("counts-patiently") * missing)
    answers = [await it.answer() for it in clients[1:]] + [await clients[1].answer() for _ in range(missing)]
    assert [in_call(it) for it in answers] == [8] * 8
    await until_in_use(running, 0)


async def test_rest_and_grpc_requests_share_a_call(clients: list[Client], running: Server):
    for it in clients[:4]:
        it.send(post("counts-patiently"))
    channel = grpc_server.channel(f"127.0.0.1:{running.grpc_port}")
    try:
        stub = service.Stub(channel, service.INFERENCE)
        contents = pb.InferTensorContents(fp32_contents=[0, 0])
        tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 2], contents=contents)
        request = pb.ModelInferRequest(model_name="counts-patiently", inputs=[tensor])
        async with asyncio.timeout(DEADLINE):
            found = await asyncio.gather(*(stub.ModelInfer(request) for _ in range(4)))
    finally:
        await channel.close()
    assert [it.outputs[0].contents.fp32_contents[0] for it in found] == [8] * 4
    assert [in_call(await it.answer()) for it in clients[:4]] == [8] * 4


async def test_a_grpc_call_that_is_cancelled_hurts_nobody(clients: list[Client], running: Server):
    channel = grpc_server.channel(f"127.0.0.1:{running.grpc_port}")
    in_use = running.repository.get("counts-patiently")
    try:
        stub = service.Stub(channel, service.INFERENCE)
        contents = pb.InferTensorContents(fp32_contents=[0, 0])
        tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 2], contents=contents)
        call = stub.ModelInfer(pb.ModelInferRequest(model_name="counts-patiently", inputs=[tensor]))
        async with asyncio.timeout(DEADLINE):
            while in_use.requests == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            await asyncio.sleep(0.05)
    finally:
        await channel.close()
    for it in clients:
        it.send(post("counts-patiently"))
    for _ in range(2):
        clients[0].send(post("counts-patiently"))
    answers = [await it.answer() for it in (*clients, clients[0], clients[0])]
    assert {in_call(it) for it in answers} == {8}  # the one that went away counts no more
    assert in_use.requests == 0


def framed(model: str, *headers: str) -> bytes:
    """A gRPC call over HTTP/1.1."""
    contents = pb.InferTensorContents(fp32_contents=[0, 0])
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 2], contents=contents)
    raw = pb.ModelInferRequest(model_name=model, inputs=[tensor]).SerializeToString()
    head = ["POST /inference.GRPCInferenceService/ModelInfer HTTP/1.1", "host: x", "content-type: application/grpc"]
    lines = [*head, *headers, f"content-length: {len(raw) + 5}", "", ""]
    return "\r\n".join(lines).encode() + b"\0" + len(raw).to_bytes(4) + raw


async def test_rest_and_grpc_over_http1_share_a_call_on_one_connection(clients: list[Client], running: Server):
    for it in clients:
        it.send(post("counts-patiently"))
    await until_in_use(running, len(clients))
    talk = await Talk.to(running.http_port)
    for _ in range(8 - len(clients) - 1):
        talk.send(framed("counts-patiently"))
    talk.send(framed("counts-patiently", "connection: close"))
    answers = read_all(await talk.rest())
    assert [it.trailers for it in answers] == [{"grpc-status": "0"}] * (8 - len(clients))
    found = [pb.ModelInferResponse.FromString(it.body[5:]).outputs[0].contents.fp32_contents[0] for it in answers]
    assert found == [8] * len(answers)
    assert [in_call(await it.answer()) for it in clients] == [8] * len(clients)


async def test_a_deadline_ends_a_call_that_waits_and_it_does_not_run(running: Server):
    talk = await Talk.to(running.http_port)
    talk.send(framed("counts-patiently", "grpc-timeout: 50m") + framed("counts", "connection: close"))
    late, answered = read_all(await talk.rest())
    assert (late.headers["grpc-status"], late.headers["grpc-message"]) == ("4", "the deadline of the call has passed")
    assert answered.trailers == {"grpc-status": "0"}
    await until_in_use(running, 0)
