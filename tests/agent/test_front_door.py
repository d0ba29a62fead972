"""The front door: a real Envoy before a server that knows models by name only."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest

from modelyard.agent.problems import ServerRefusal
from modelyard.agent.usage import Usage
from modelyard.kit import clock
from modelyard.wire import service
from modelyard.wire._pb2.inference import grpc_service_pb2 as pb
from tests.agent.door_rig import HEADER, DoorRig, front_door
from tests.agent.peers import until

pytestmark = pytest.mark.e2e


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DoorRig]:
    async with front_door(tmp_path, "iris_2", "wine_1") as rig:
        yield rig


def stream(rig: DoorRig, *metadata: tuple[str, str]) -> grpc.aio.StreamStreamCall:  # type: ignore[type-arg]
    method = rig.channel.stream_stream(
        f"/{service.INFERENCE}/ModelStreamInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    return method(metadata=metadata)


class TestNames:
    @pytest.mark.parametrize(
        ("sent", "arrives"),
        [
            ("/v2/models/iris/infer", "/v2/models/iris_2/infer"),
            ("/v2/models/iris/infer?x=1&y=/v2/models/a", "/v2/models/iris_2/infer?x=1&y=/v2/models/a"),
            ("/v2/models/iris/versions/1/infer", "/v2/models/iris_2/versions/1/infer"),
            ("/v2/models/wine_1/ready", "/v2/models/iris_2/ready"),
            ("/v2/models/iris", "/v2/models/iris_2"),
            ("/v2/models/a%2Fb/infer", "/v2/models/iris_2/infer"),
            ("/v2//models/iris/infer", "/v2/models/iris_2/infer"),
        ],
    )
    async def test_the_header_names_the_model_whatever_the_path_says(
        self, rig: DoorRig, sent: str, arrives: str
    ) -> None:
        answer = await rig.infer(sent, "iris_2")
        assert (answer.status_code, answer.json()["path"]) == (200, arrives)

    async def test_a_direct_client_names_a_loaded_model_by_path(self, rig: DoorRig) -> None:
        answer = await rig.infer("/v2/models/wine_1/infer")
        assert (answer.status_code, answer.json()["model_name"]) == (200, "wine_1")

    @pytest.mark.parametrize("named", ["iris", "", "wine_1", "x" * 1000])
    async def test_the_header_names_the_model_whatever_the_message_says(self, rig: DoorRig, named: str) -> None:
        answer = await rig.grpc_infer(named, "iris_2", b"12345")
        assert (answer.model_name, answer.id) == ("iris_2", ":5")

    async def test_a_direct_client_names_a_loaded_model_in_the_message(self, rig: DoorRig) -> None:
        assert (await rig.grpc_infer("wine_1", payload=b"x" * 10_000)).model_name == "wine_1"
        assert (await rig.stub.ModelReady(pb.ModelReadyRequest(name="wine_1", version="1"))).ready

    async def test_of_two_headers_the_first_counts_everywhere(self, rig: DoorRig) -> None:
        answer = await rig.http.post("/v2/models/any/infer", headers=[(HEADER, "iris_2"), (HEADER, "wine_1")])
        assert answer.json()["model_name"] == "iris_2"
        method = rig.channel.unary_unary(f"/{service.INFERENCE}/ModelInfer")
        said = await method(b"", metadata=((HEADER, "iris_2"), (HEADER, "wine_1")))
        assert pb.ModelInferResponse.FromString(said).model_name == "iris_2"
        counting = asyncio.create_task(rig.door.run())
        await until(lambda: rig.door.usage(), "the requests are counted")
        assert rig.door.usage().keys() == {"iris_2"}
        counting.cancel()

    async def test_other_methods_about_a_model_are_named_too(self, rig: DoorRig) -> None:
        metadata = ((HEADER, "iris_2"),)
        assert (await rig.stub.ModelReady(pb.ModelReadyRequest(name="iris"), metadata=metadata)).ready
        assert (await rig.stub.ModelReady(pb.ModelReadyRequest(), metadata=metadata)).ready
        answer = await rig.stub.ModelMetadata(pb.ModelMetadataRequest(name="iris"), metadata=metadata)
        assert answer.name == "iris_2"

    async def test_both_protocols_are_taken_on_both_ports(self, rig: DoorRig) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.grpc_port}") as http:
            assert (await http.post("/v2/models/iris_2/infer")).status_code == 200
        async with grpc.aio.insecure_channel(f"127.0.0.1:{rig.http_port}") as channel:
            stub = service.Stub(channel, service.INFERENCE)
            assert (await stub.ModelReady(pb.ModelReadyRequest(name="iris_2"))).ready

    async def test_every_message_of_a_stream_is_named_in_lock_step(self, rig: DoorRig) -> None:
        call = stream(rig, (HEADER, "iris_2"))
        for number, size in enumerate((0, 1, 100_000, 3_000_000, 0, 16_384, 16_379)):
            request = pb.ModelInferRequest(model_name="any", id=str(number), raw_input_contents=[b"x" * size])
            await call.write(request)
            answer = await call.read()
            assert (answer.model_name, answer.id) == ("iris_2", f"{number}:{size}")
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF

    async def test_a_stream_without_the_header_is_told_to_send_it(self, rig: DoorRig) -> None:
        call = stream(rig)  # refused by its headers: a message could meet a call that has ended
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
        assert HEADER in (await call.details() or "")

    async def test_frames_may_be_cut_anywhere(self, rig: DoorRig) -> None:
        """gRPC over HTTP/1.1, whose chunks Envoy passes on as they come: so heads and messages are cut everywhere."""
        chance = random.Random(7)
        sizes = [0, 1, 2, 3, 130, 5_000, 0, 0, 70_000, 1]
        frames = b""
        for number, size in enumerate(sizes):
            message = pb.ModelInferRequest(id=str(number), raw_input_contents=[b"x" * size] if size else [])
            encoded = message.SerializeToString()
            frames += b"\0" + len(encoded).to_bytes(4, "big") + encoded
        frames += bytes(5)  # a message of no bytes at all
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.http_port)
        writer.write(
            f"POST /{service.INFERENCE}/ModelStreamInfer HTTP/1.1\r\nhost: door\r\ncontent-type: application/grpc\r\n"
            f"te: trailers\r\n{HEADER}: iris_2\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        at = 0
        while at < len(frames):
            piece = frames[at : at + chance.choice([1, 1, 2, 3, 4, 7, 900, 20_000])]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.002)  # only so that pieces arrive by themselves: the outcome does not hang on it
            at += len(piece)
        writer.write(b"0\r\n\r\n")
        await until(lambda: rig.server.asked() == len(sizes) + 1, f"every message arrives: {rig.server.acts}")
        writer.close()
        assert set(rig.server.acts) == {"infer iris_2"}
        answers = await reader.read(100)
        assert answers.startswith(b"HTTP/1.1 200")

    async def test_large_bodies_pass_both_ways_of_asking(self, rig: DoorRig) -> None:
        body = b"x" * 60_000_000
        answer = await rig.grpc_infer("iris", "iris_2", body)
        assert (answer.model_name, answer.id) == ("iris_2", f":{len(body)}")
        over_rest = await rig.http.post("/v2/models/iris/infer", content=body, headers={HEADER: "iris_2"})
        assert over_rest.json()["bytes"] == len(body)

    async def test_compressed_messages_are_refused_with_what_is_understood(self, rig: DoorRig) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await rig.grpc_infer("iris", "iris_2", b"x" * 10_000, compression=grpc.Compression.Gzip)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "compressed by gzip" in (raised.value.details() or "")
        assert rig.server.acts == []


class TestWhatIsNotThere:
    async def test_a_model_that_is_not_loaded_never_reaches_the_server(self, rig: DoorRig) -> None:
        for path, model in (("/v2/models/rose_1/infer", None), ("/v2/models/iris_2/infer", "rose_1")):
            answer = await rig.infer(path, model)
            assert answer.status_code == 503
            assert answer.headers["x-modelyard-not-loaded"] == "true"
            assert answer.json()["error"].startswith("model rose_1 is not loaded at this server")
        for named, model in (("rose_1", None), ("iris_2", "rose_1")):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await rig.grpc_infer(named, model)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "model rose_1 is not loaded" in (raised.value.details() or "")
            assert ("x-modelyard-not-loaded", "true") in tuple(raised.value.trailing_metadata() or ())
        assert rig.server.acts == []

    @pytest.mark.parametrize("model", [None, "iris_2", "*server*"])
    async def test_callers_cannot_load_or_unload(self, rig: DoorRig, model: str | None) -> None:
        for path in ("/v2/repository/index", "/v2/repository/models/iris_2/unload", "/v2/systemsharedmemory/status"):
            answer = await rig.infer(path, model)
            assert answer.status_code == 404
            assert "x-modelyard-not-loaded" not in answer.headers
        method = rig.channel.unary_unary(f"/{service.INFERENCE}/RepositoryIndex")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await method(b"", metadata=((HEADER, model),) if model else ())
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert rig.server.acts == []

    async def test_the_server_itself_may_be_asked_about(self, rig: DoorRig) -> None:
        for model in (None, "iris_2"):
            headers = {HEADER: model} if model else {}
            for path in ("/v2", "/v2/", "/v2/health/ready", "/v2/health/live"):
                assert (await rig.http.get(path, headers=headers)).json()["path"] == path
        assert (await rig.stub.ServerReady(pb.ServerReadyRequest())).ready

    async def test_a_server_that_is_gone_is_said_so_and_marked(self, rig: DoorRig) -> None:
        await rig.server.stop()
        answer = await rig.infer("/v2/models/any/infer", "iris_2")
        assert (answer.status_code, answer.headers["x-modelyard-not-loaded"]) == (503, "true")
        assert answer.json()["error"].startswith("model iris_2: its inference server does not answer")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await rig.grpc_infer("any", "iris_2")
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE

    async def test_our_own_headers_of_callers_are_stripped(self, rig: DoorRig) -> None:
        answer = await rig.infer(
            "/v2/models/any/infer", "iris_2", x_modelyard_evil="1", x_envoy_retry_on="5xx", x_me="2"
        )
        headers = answer.json()["headers"]
        assert headers["x-me"] == "2"
        assert not [name for name in headers if name.startswith(("x-modelyard-", "x-envoy-"))]


class TestChanges:
    async def test_models_open_and_close_one_by_one(self, rig: DoorRig) -> None:
        rig.server.models.add("rose_1")
        for _ in range(20):
            await rig.door.open("rose_1")
            assert (await rig.infer("/v2/models/any/infer", "rose_1")).status_code == 200
            await rig.door.close("rose_1")
            assert (await rig.infer("/v2/models/any/infer", "rose_1")).status_code == 503
            assert (await rig.infer("/v2/models/any/infer", "iris_2")).status_code == 200
            rig.door.unloaded("rose_1")

    async def test_no_request_fails_while_other_models_come_and_go_and_agents_follow_each_other(
        self, rig: DoorRig
    ) -> None:
        done = asyncio.Event()
        seen: list[str] = []

        async def traffic(over_grpc: bool) -> None:
            while not done.is_set():
                if over_grpc:
                    seen.append((await rig.grpc_infer("any", "iris_2")).model_name)
                else:
                    seen.append((await rig.infer("/v2/models/any/infer", "iris_2")).json()["model_name"])

        callers = [asyncio.create_task(traffic(over_grpc)) for over_grpc in (True, False, True, False)]
        for turn in range(3):
            for number in range(10):
                await rig.door.open(f"m{number}_1")
            for number in range(10):
                await rig.door.close(f"m{number}_1")
                rig.door.unloaded(f"m{number}_1")
            await rig.door.stop()
            await rig.start_agent()
            await until(lambda: _came(rig), f"the door calls agent {turn + 2}")
            await rig.opened()
        done.set()
        await asyncio.gather(*callers)
        assert set(seen) == {"iris_2"}

    async def test_an_unload_waits_for_requests_in_flight(self, rig: DoorRig) -> None:
        rig.server.held = {"iris_2"}
        over_rest = asyncio.create_task(rig.infer("/v2/models/any/infer", "iris_2"))
        over_grpc = asyncio.create_task(rig.grpc_infer("any", "iris_2"))
        await until(lambda: rig.server.asked() == 2, "both requests arrive")
        closing = asyncio.create_task(rig.door.close("iris_2"))
        await _closed(rig, "iris_2")
        assert not closing.done()
        await rig.door.close("wine_1")  # others are not held up
        rig.server.released.set()
        await closing
        assert (await over_rest).status_code == 200
        assert (await over_grpc).model_name == "iris_2"

    async def test_a_caller_that_gives_up_is_not_waited_for(self, rig: DoorRig) -> None:
        rig.server.held = {"iris_2"}
        call = stream(rig, (HEADER, "iris_2"))
        await call.write(pb.ModelInferRequest())
        await until(lambda: rig.server.asked() == 1, "the request arrives")
        closing = asyncio.create_task(rig.door.close("iris_2"))
        await _closed(rig, "iris_2")
        assert not closing.done()
        call.cancel()
        await closing

    async def test_what_is_used_is_counted_per_model(self, rig: DoorRig) -> None:
        rig.server.held = {"wine_1"}
        counting = asyncio.create_task(rig.door.run())
        began = clock.now()
        await rig.infer("/v2/models/any/infer", "iris_2")
        await rig.infer("/v2/models/rose_9/infer")  # not loaded: nobody keeps a count of what callers make up
        held = asyncio.create_task(rig.infer("/v2/models/wine_1/infer"))
        await until(lambda: rig.door.usage().get("wine_1", Usage()).in_flight == 1, "a request in flight is seen")
        used = rig.door.usage()
        assert used.keys() == {"iris_2", "wine_1"}
        assert used["iris_2"].in_flight == 0
        assert all(it.last_used is not None and it.last_used >= began for it in used.values())
        rig.server.released.set()
        await held
        await until(lambda: rig.door.usage()["wine_1"].in_flight == 0, "it is seen to have ended")
        counting.cancel()

    async def test_a_bound_ends_the_wait(self, tmp_path: Path) -> None:
        async with front_door(tmp_path, "iris_2", finish_seconds=0.2) as rig:
            rig.server.held = {"iris_2"}
            request = asyncio.create_task(rig.infer("/v2/models/any/infer", "iris_2"))
            await until(lambda: rig.server.asked() == 1, "the request arrives")
            await rig.door.close("iris_2")
            assert not request.done()
            rig.server.released.set()
            assert (await request).status_code == 200

    async def test_a_thousand_models(self, rig: DoorRig) -> None:
        models = {f"m{number}_1" for number in range(1000)}
        await rig.opened(*models)
        for model in ("m0_1", "m500_1", "m999_1", "iris_2"):
            assert (await rig.infer("/v2/models/any/infer", model)).json()["model_name"] == model


class TestKills:
    async def test_a_door_that_is_killed_comes_back_with_everything(self, rig: DoorRig) -> None:
        await rig.process.end(signal.SIGKILL)
        await rig.start_door()
        assert (await _first_answer(rig, "iris_2")).json()["model_name"] == "iris_2"  # never a 503 before it knows
        assert (await _first_answer(rig, "wine_1")).status_code == 200
        await rig.door.close("iris_2")  # its counts began anew

    async def test_a_door_goes_on_without_its_agent_and_the_next_one_adopts_it(self, rig: DoorRig) -> None:
        await rig.door.stop()
        assert (await rig.infer("/v2/models/any/infer", "iris_2")).status_code == 200
        await rig.start_agent()
        await until(lambda: _came(rig), "the door calls the next agent")
        assert (await rig.infer("/v2/models/any/infer", "iris_2")).status_code == 200  # before the agent knows anything
        rig.server.models = {"iris_2", "rose_1"}
        await rig.opened()
        assert (await rig.infer("/v2/models/any/infer", "iris_2")).status_code == 200
        assert (await rig.infer("/v2/models/any/infer", "rose_1")).status_code == 200
        assert (await rig.infer("/v2/models/any/infer", "wine_1")).status_code == 503

    async def test_a_server_that_dies_is_shut_off_at_once_and_stays_so_until_it_is_known_what_it_holds(
        self, rig: DoorRig
    ) -> None:
        running = asyncio.create_task(rig.door.run())
        await until(lambda: rig.server._writers, "the agent holds on to the server")
        await rig.server.stop()
        await until(lambda: rig.door._doorway.open == set(), "its end is heard of")
        await rig.door.open("rose_1")  # settled: and so is what was said before
        rig.server.models.clear()
        await rig.server.start()
        for model in ("iris_2", "wine_1"):
            assert "is not loaded at this server" in (await rig.infer("/v2/models/any/infer", model)).json()["error"]
        assert rig.server.acts == []
        await rig.opened("iris_2")
        assert (await rig.infer("/v2/models/any/infer", "iris_2")).status_code == 200
        running.cancel()

    async def test_an_agent_without_a_door_says_how_to_start_it(self, rig: DoorRig) -> None:
        await rig.process.end(signal.SIGKILL)
        await rig.door.stop()
        await rig.start_agent()
        with pytest.raises(ServerRefusal, match=r"has not called at .*run\.front_door"):
            rig.door.check()


class TestColdModels:
    async def test_a_request_waits_until_its_model_is_there(self, tmp_path: Path) -> None:
        there = asyncio.Event()
        asked: list[str] = []

        async def activate(model: str) -> None:
            asked.append(model)
            await there.wait()

        async with front_door(tmp_path, "wine_1", activate=activate) as rig:
            rig.server.models.add("iris_2")
            await rig.door.open("iris_2", cold=True)
            call = stream(rig, (HEADER, "iris_2"))
            await call.write(pb.ModelInferRequest())
            waiting = [
                asyncio.ensure_future(rig.infer("/v2/models/any/infer", "iris_2")),
                asyncio.ensure_future(rig.infer("/v2/models/iris_2/infer")),
                asyncio.ensure_future(rig.grpc_infer("any", "iris_2", b"x" * 300_000)),
                asyncio.ensure_future(rig.grpc_infer("iris_2")),
                asyncio.ensure_future(call.read()),
            ]
            await until(lambda: len(asked) == len(waiting), f"each is asked about, {asked}")
            assert (await rig.infer("/v2/models/any/infer", "wine_1")).status_code == 200  # warm: not asked about
            assert not any(it.done() for it in waiting)
            assert rig.server.asked() == 1
            there.set()
            by_header, by_path, over_grpc, by_message, streamed = await asyncio.gather(*waiting)
            assert (by_header.status_code, by_path.status_code) == (200, 200)
            assert (over_grpc.model_name, by_message.model_name) == ("iris_2", "iris_2")
            assert streamed.model_name == "iris_2"
            assert set(asked) == {"iris_2"}
            call.cancel()

    async def test_a_refusal_is_a_sentence_and_marked(self, tmp_path: Path) -> None:
        async with front_door(tmp_path) as rig:
            await rig.door.open("iris_2", cold=True)
            answer = await rig.infer("/v2/models/any/infer", "iris_2")
            assert (answer.status_code, answer.headers["x-modelyard-not-loaded"]) == (503, "true")
            assert "iris_2 is not in memory" in answer.json()["error"]
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await rig.grpc_infer("any", "iris_2")
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "iris_2 is not in memory" in (raised.value.details() or "")
            assert rig.server.acts == []

    async def test_an_agent_that_is_gone_is_a_503_at_once(self, tmp_path: Path) -> None:
        async with front_door(tmp_path) as rig:
            await rig.door.open("iris_2", cold=True)
            await rig.door.stop()
            assert (await rig.infer("/v2/models/any/infer", "iris_2")).status_code == 503
            await rig.start_agent()

    async def test_a_model_grows_warm(self, tmp_path: Path) -> None:
        async with front_door(tmp_path) as rig:
            rig.server.models.add("iris_2")
            await rig.door.open("iris_2", cold=True)
            assert (await rig.infer("/v2/models/any/infer", "iris_2")).status_code == 503
            await rig.door.open("iris_2")
            assert (await rig.infer("/v2/models/any/infer", "iris_2")).status_code == 200


async def _say(call: grpc.aio.StreamStreamCall, request: pb.ModelInferRequest) -> None:  # type: ignore[type-arg]
    """A refusal may come before the message is written, or after."""
    await call.write(request)
    await call.read()


def _came(rig: DoorRig) -> bool:
    try:
        rig.door.check()
    except ServerRefusal:
        return False
    return True


async def _closed(rig: DoorRig, model: str) -> None:
    while (await rig.infer("/v2/models/any/ready", model)).status_code != 503:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def _first_answer(rig: DoorRig, model: str) -> httpx.Response:
    while True:
        try:
            return await rig.infer("/v2/models/any/infer", model)
        except httpx.TransportError:
            await asyncio.sleep(0.02)
