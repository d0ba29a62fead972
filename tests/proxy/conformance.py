"""What every proxy driver must do, shown on the real proxy. A driver's test file gives the fixture `rig`."""

import asyncio
import os
import re

import grpc
import httpx
import pytest

from modelyard.proxy.desired import Endpoint
from tests.proxy.rig import Rig, free_port, route, until
from tests.proxy.upstreams import SERVICE


async def with_iris(rig: Rig, behaviour: str = "echo"):  # type: ignore[no-untyped-def]
    """One gateway, one server, one model; returns both."""
    upstream = await rig.upstream("local/0", behaviour)
    gateway = await rig.gateway()
    await rig.apply_live({"local:0": {"local/0": upstream.endpoint}}, {"iris": route(("local:0", "iris_1", 1))})
    return gateway, upstream


class TestRouting:
    async def test_by_header_over_rest(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        response = await gateway.infer("iris")
        assert response.status_code == 200
        assert response.json()["headers"]["seldon-internal-model"] == "iris_1"
        assert response.headers["x-seldon-route"] == ":iris_1:"
        assert response.json()["path"] == "/v2/models/any/infer"

    async def test_by_path_over_rest_where_the_header_is_absent(self, rig: Rig) -> None:
        gateway, upstream = await with_iris(rig)
        for path in ("/v2/models/iris", "/v2/models/iris/ready", "/v2/models/iris/infer?x=1"):
            response = await gateway.client.get(path)
            assert response.json()["headers"]["seldon-internal-model"] == "iris_1"
        await rig.apply_live({"p:0": {"p/0": upstream.endpoint}}, {"flow.pipeline": route(("p:0", "flow.pipeline", 1))})
        for path in ("/v2/pipelines/flow/infer", "/v2/models/flow.pipeline/infer"):
            response = await gateway.client.post(path)
            assert response.json()["headers"]["seldon-internal-model"] == "flow.pipeline"

    async def test_the_header_wins_over_the_path(self, rig: Rig) -> None:
        gateway, upstream = await with_iris(rig)
        await rig.apply_live({}, {"wine": route(("local:0", "wine_3", 1))})
        response = await gateway.client.post("/v2/models/wine/infer", headers={"seldon-model": "iris"})
        assert response.json()["headers"]["seldon-internal-model"] == "iris_1"
        assert len(upstream.requests) == 1

    async def test_over_grpc_unary_and_streaming(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        answer, headers = await gateway.grpc_infer("iris")
        assert answer == b"iris_1@local/0"
        assert headers["x-seldon-route"] == ":iris_1:"
        stream = gateway.channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")(metadata=(("seldon-model", "iris"),))
        for turn in (b"one", b"two"):
            await stream.write(turn)
            assert await stream.read() == b"local/0:" + turn
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF

    async def test_an_unknown_model_is_404_with_a_sentence_and_unimplemented_over_grpc(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        response = await gateway.infer("rose")
        assert response.status_code == 404
        assert "rose" in response.json()["error"]
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await gateway.grpc_infer("rose")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "no model rose is available" in (raised.value.details() or "")

    async def test_a_request_that_names_no_model_is_told_how(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        response = await gateway.client.get("/")
        assert response.status_code == 404
        assert "seldon-model" in response.json()["error"]
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await gateway.grpc_infer(None)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "names no model" in (raised.value.details() or "")

    async def test_server_health_is_answered_without_any_model(self, rig: Rig) -> None:
        gateway = await rig.gateway()
        for path in ("/v2/health/live", "/v2/health/ready"):
            answer = await gateway.client.get(path)
            assert (answer.status_code, answer.text) == (200, "{}")

    @pytest.mark.parametrize(
        "path",
        [
            "/v2/repository/models/iris_1/unload",
            "/v2/repository/index",
            "/v2/%72epository/index",
            "/v2//repository/index",
            "/v2/models/../repository/index",
            "/v2/systemsharedmemory/status",
        ],
    )
    async def test_callers_cannot_load_or_unload_on_servers(self, rig: Rig, path: str) -> None:
        gateway, upstream = await with_iris(rig)
        status = await gateway.raw_status("POST", path, "seldon-model: iris")
        assert status == 404
        assert not upstream.requests

    async def test_callers_cannot_load_or_unload_on_servers_over_grpc(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        for method in ("RepositoryModelUnload", "RepositoryModelLoad", "RepositoryIndex"):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await gateway.channel.unary_unary(f"/{SERVICE}/{method}")(b"", metadata=(("seldon-model", "iris"),))
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert "serves inference only" in (raised.value.details() or "")

    async def test_http_1_0_is_served(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        assert await gateway.raw_status("GET", "/v2/models/iris", version="1.0") == 200


class TestHeaders:
    async def test_internal_headers_of_clients_are_stripped_first(self, rig: Rig) -> None:
        gateway, upstream = await with_iris(rig)
        response = await gateway.infer(
            "iris", seldon_internal_model="evil_9", x_modelyard_secret="1", x_envoy_retry_on="5xx", x_mine="kept"
        )
        headers = response.json()["headers"]
        assert headers["seldon-internal-model"] == "iris_1"
        assert headers["x-mine"] == "kept"
        assert not [name for name in headers if name.startswith(("x-modelyard-", "x-envoy-"))]
        answer, _ = await gateway.grpc_infer("iris", ("seldon-internal-model", "evil_9"))
        assert answer == b"iris_1@local/0"
        assert len(upstream.requests) == 2

    async def test_a_request_id_is_kept_or_made_and_answered(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        for given in ("mine-7", "5b3a9c1e-7f0d-4c67-9a51-1a2b3c4d5e6f"):
            response = await gateway.infer("iris", x_request_id=given)
            assert response.headers["x-request-id"] == response.json()["headers"]["x-request-id"] == given
        made = [await gateway.infer("iris") for _ in range(2)]
        ids = {response.headers["x-request-id"] for response in made}
        assert len(ids) == 2
        assert ids == {response.json()["headers"]["x-request-id"] for response in made}
        _, headers = await gateway.grpc_infer("iris", ("x-request-id", "mine-8"))
        assert headers["x-request-id"] == "mine-8"


class TestVariants:
    async def test_weights_share_requests_out_and_the_route_header_says_who_answered(self, rig: Rig) -> None:
        a, b = await rig.upstream("a/0"), await rig.upstream("b/0")
        gateway = await rig.gateway()
        await rig.apply_live(
            {"a:0": {"a/0": a.endpoint}, "b:0": {"b/0": b.endpoint}},
            {"iris": route(("a:0", "iris_1", 3), ("b:0", "iris_2", 1))},
        )
        seen = [await gateway.infer("iris") for _ in range(200)]
        counts = {
            name: sum(it.headers["x-seldon-route"] == f":{name}:" for it in seen) for name in ("iris_1", "iris_2")
        }
        assert sum(counts.values()) == 200
        assert 110 <= counts["iris_1"] <= 185  # 150 expected; 6 sigma is 37
        for response in seen:
            assert response.headers["x-seldon-route"] == f":{response.json()['headers']['seldon-internal-model']}:"

    async def test_a_sticky_header_pins_the_variant_while_it_is_one(self, rig: Rig) -> None:
        a, b = await rig.upstream("a/0"), await rig.upstream("b/0")
        gateway = await rig.gateway()
        await rig.apply_live(
            {"a:0": {"a/0": a.endpoint}, "b:0": {"b/0": b.endpoint}},
            {"iris": route(("a:0", "iris_1", 1), ("b:0", "iris_2", 1))},
        )
        for pinned in ("iris_1", "iris_2"):
            for _ in range(15):
                response = await gateway.infer("iris", x_seldon_route=f":other_1::{pinned}:")
                assert response.headers["x-seldon-route"] == f":{pinned}:"
                answer, _ = await gateway.grpc_infer("iris", ("x-seldon-route", f":{pinned}:"))
                assert answer.startswith(pinned.encode())
        assert (await gateway.infer("iris", x_seldon_route=":iris_9:")).status_code == 200


class TestRetries:
    async def test_a_dead_endpoint_is_hidden(self, rig: Rig) -> None:
        alive = await rig.upstream("local/0")
        dead = Endpoint("127.0.0.1", free_port(), free_port())
        gateway = await rig.gateway()
        await rig.apply_live(
            {"local:0,1": {"local/0": alive.endpoint, "local/1": dead}}, {"iris": route(("local:0,1", "iris_1", 2))}
        )
        for _ in range(20):
            assert (await gateway.infer("iris")).status_code == 200
            assert (await gateway.grpc_infer("iris"))[0] == b"iris_1@local/0"

    async def test_not_loaded_here_is_tried_elsewhere_and_the_marker_is_not_shown(self, rig: Rig) -> None:
        good, bad = await rig.upstream("local/0"), await rig.upstream("local/1", "not-loaded")
        gateway = await rig.gateway()
        await rig.apply_live(
            {"local:0,1": {"local/0": good.endpoint, "local/1": bad.endpoint}},
            {"iris": route(("local:0,1", "iris_1", 2))},
        )
        body = b"x" * 500_000
        for _ in range(20):
            response = await gateway.client.post("/v2/models/iris/infer", content=body)
            assert response.json()["server"] == "local/0"
            assert response.json()["bytes"] == len(body)
            assert (await gateway.grpc_infer("iris"))[0] == b"iris_1@local/0"
        assert bad.requests
        good.behaviour = "not-loaded"
        response = await gateway.infer("iris")
        assert response.status_code == 404
        assert "x-modelyard-not-loaded" not in response.headers

    @pytest.mark.parametrize("behaviour", ["error", "reset"])
    async def test_what_reached_a_server_and_failed_is_not_sent_again(self, rig: Rig, behaviour: str) -> None:
        upstreams = [await rig.upstream(f"local/{index}", behaviour) for index in range(2)]
        gateway = await rig.gateway()
        await rig.apply_live(
            {"local:0,1": {it.name: it.endpoint for it in upstreams}}, {"iris": route(("local:0,1", "iris_1", 2))}
        )
        for sent in range(1, 6):
            assert (await gateway.infer("iris")).status_code == 503
            assert sum(len(it.requests) for it in upstreams) == sent
        if behaviour == "error":
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await gateway.grpc_infer("iris")
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert sum(len(it.requests) for it in upstreams) == 6

    async def test_who_is_too_busy_is_not_pressed(self, rig: Rig) -> None:
        """Asking others too would make a storm of every rush."""
        upstreams = [await rig.upstream(f"local/{index}", "busy") for index in range(2)]
        gateway = await rig.gateway()
        await rig.apply_live(
            {"local:0,1": {it.name: it.endpoint for it in upstreams}}, {"iris": route(("local:0,1", "iris_1", 2))}
        )
        for sent in range(1, 6):
            answer = await gateway.infer("iris")
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            assert sum(len(it.requests) for it in upstreams) == sent
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await gateway.grpc_infer("iris")
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert sum(len(it.requests) for it in upstreams) == 6

    async def test_a_body_too_large_to_keep_streams_through(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        response = await gateway.client.post("/v2/models/iris/infer", content=b"x" * 8_000_000)
        assert response.json()["bytes"] == 8_000_000

    async def test_nobody_there_is_503_with_a_sentence_and_unavailable_over_grpc(self, rig: Rig) -> None:
        gateway = await rig.gateway()
        dead = Endpoint("127.0.0.1", free_port(), free_port())
        await rig.apply_live(
            {"local:0": {"local/0": dead}, "local:1": {}},
            {"iris": route(("local:0", "iris_1", 1)), "wine": route(("local:1", "wine_1", 1))},
        )
        for model in ("iris", "wine"):
            response = await gateway.infer(model)
            assert response.status_code == 503
            assert re.match(f"model {model}: ", response.json()["error"])
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await gateway.grpc_infer(model)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert (raised.value.details() or "").startswith(f"model {model}: ")


class TestChanges:
    async def test_the_first_request_after_live_succeeds(self, rig: Rig) -> None:
        upstream = await rig.upstream("local/0")
        gateway = await rig.gateway()
        for number in range(100):
            sets = {f"s:{number}": {"local/0": upstream.endpoint}}
            await rig.apply_live(sets, {f"m{number}": route((f"s:{number}", f"m{number}_1", 1))})
            assert (await gateway.infer(f"m{number}")).status_code == 200

    async def test_removal_lets_a_request_in_flight_finish(self, rig: Rig) -> None:
        gateway, upstream = await with_iris(rig, "hold")
        running = asyncio.create_task(gateway.infer("iris"))
        await upstream.arrived.wait()
        await rig.apply_live({"local:0": None}, {"iris": None})
        assert (await gateway.infer("iris")).status_code == 404
        await until(lambda: rig.driver.gateways()[0].version == 2, "the cluster removed")
        upstream.released.set()
        assert (await running).status_code == 200

    async def test_a_moved_endpoint_is_followed(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        other = await rig.upstream("elsewhere")
        rig.apply({"local:0": {"local/0": other.endpoint}})
        await rig.apply_live({}, {"wine": route(("local:0", "wine_1", 1))})
        assert (await gateway.infer("iris")).json()["server"] == "elsewhere"

    async def test_200_routes_move_at_once(self, rig: Rig) -> None:
        a, b = await rig.upstream("a/0"), await rig.upstream("b/0")
        gateway = await rig.gateway()
        names = [f"m{number}" for number in range(200)]
        await rig.apply_live({"a:0": {"a/0": a.endpoint}}, {name: route(("a:0", f"{name}_1", 1)) for name in names})
        await rig.apply_live(
            {"b:0": {"b/0": b.endpoint}, "a:0": None}, {name: route(("b:0", f"{name}_2", 1)) for name in names}
        )
        for name in names:
            response = await gateway.infer(name)
            assert response.json()["server"] == "b/0"
            assert response.json()["headers"]["seldon-internal-model"] == f"{name}_2"

    async def test_host_names_are_resolved(self, rig: Rig) -> None:
        upstream = await rig.upstream("local/0")
        gateway = await rig.gateway()
        endpoint = Endpoint("localhost", upstream.http_port, upstream.grpc_port)
        await rig.apply_live({"n:0": {"n/0": endpoint}}, {"iris": route(("n:0", "iris_1", 1))})
        assert (await gateway.infer("iris")).status_code == 200

    async def test_a_host_name_that_does_not_resolve_is_503_and_holds_nothing_up(self, rig: Rig) -> None:
        gateway = await rig.gateway()
        endpoint = Endpoint("no-such-host.invalid", 1, 2)
        await rig.apply_live({"n:0": {"n/0": endpoint}}, {"iris": route(("n:0", "iris_1", 1))})
        assert (await gateway.infer("iris")).status_code == 503


class TestRefusals:
    BAD = Endpoint("127.0.0.1", 70_000, 70_001)

    async def test_a_refused_resource_does_not_block_its_siblings_and_shows(self, rig: Rig) -> None:
        upstream = await rig.upstream("local/0")
        gateway = await rig.gateway()
        good = {f"m{number}": route(("local:0", f"m{number}_1", 1)) for number in range(20)}
        sets = {"local:0": {"local/0": upstream.endpoint}, "local:1": {"local/1": self.BAD}}
        version = rig.apply(sets, {**good, "bad": route(("local:1", "bad_1", 1))})
        await until(lambda: all(rig.live.get(model) == version for model in good), "the siblings live")
        await until(lambda: "bad" in rig.refused, "the refusal told")
        assert "bad" not in rig.live
        assert "70000" in rig.refused["bad"] or "port" in rig.refused["bad"].lower()
        for model in good:
            assert (await gateway.infer(model)).status_code == 200
        assert (await gateway.infer("bad")).status_code == 404
        assert {(it.gateway, bool(it.reason)) for it in rig.driver.refusals()} == {("g1", True)}

        await rig.apply_live({"local:1": {"local/1": upstream.endpoint}}, {"bad": route(("local:1", "bad_1", 1))})
        assert (await gateway.infer("bad")).status_code == 200
        assert rig.driver.refusals() == ()

    async def test_a_refused_route_lets_its_siblings_in_and_is_taken_once_it_is_right(self, rig: Rig) -> None:
        upstream = await rig.upstream("local/0")
        gateway = await rig.gateway()
        names = [f"m{number}" for number in range(40)]
        sets = {"local:0": {"local/0": upstream.endpoint}}
        await rig.apply_live(sets, {name: route(("local:0", f"{name}_1", 1)) for name in names[:20]})
        routes = {name: route(("local:0", f"{name}_2", 1)) for name in names}
        for bad in ("m3", "m30"):
            routes[bad] = route(("local:0", "not\na header value", 1))
        version = rig.apply({}, routes)
        good = [name for name in names if name not in ("m3", "m30")]
        await until(lambda: all(rig.live.get(name) == version for name in good), "the siblings live")
        await until(lambda: rig.refused.keys() == {"m3", "m30"}, "the refusals told")
        for name in good:
            assert (await gateway.infer(name)).json()["headers"]["seldon-internal-model"] == f"{name}_2"
        assert (await gateway.infer("m3")).json()["headers"]["seldon-internal-model"] == "m3_1"
        assert (await gateway.infer("m30")).status_code == 404
        assert {it.resource for it in rig.driver.refusals()} == {"route m3", "route m30"}
        await rig.apply_live({}, {bad: route(("local:0", f"{bad}_3", 1)) for bad in ("m3", "m30")})
        for bad in ("m3", "m30"):
            assert (await gateway.infer(bad)).json()["headers"]["seldon-internal-model"] == f"{bad}_3"
        await rig.apply_live({}, dict.fromkeys(names))
        for name in names[::7]:
            assert (await gateway.infer(name)).status_code == 404

    async def test_what_was_served_before_a_refused_change_is_served_on(self, rig: Rig) -> None:
        gateway, upstream = await with_iris(rig)
        rig.apply({"local:1": {"local/1": self.BAD}}, {"iris": route(("local:1", "iris_2", 1))})
        await until(lambda: "iris" in rig.refused, "the refusal told")
        assert (await gateway.infer("iris")).json()["headers"]["seldon-internal-model"] == "iris_1"
        await rig.apply_live({"local:1": None}, {"iris": route(("local:0", "iris_3", 1))})
        assert (await gateway.infer("iris")).json()["headers"]["seldon-internal-model"] == "iris_3"
        assert len(upstream.requests) == 2


class TestSeveralGateways:
    async def test_live_means_live_in_all_of_them(self, rig: Rig) -> None:
        upstream = await rig.upstream("local/0")
        gateways = [await rig.gateway("g1"), await rig.gateway("g2")]
        for number in range(20):
            await rig.apply_live(
                {"local:0": {"local/0": upstream.endpoint}}, {f"m{number}": route(("local:0", "m_1", 1))}
            )
            for gateway in gateways:
                assert (await gateway.infer(f"m{number}")).status_code == 200
        assert [(it.id, it.connected) for it in rig.driver.gateways()] == [("g1", True), ("g2", True)]

    async def test_none_connected_means_live_at_once(self, rig: Rig) -> None:
        await rig.apply_live({"local:0": {}}, {"iris": route(("local:0", "iris_1", 1))})
        assert rig.driver.gateways() == ()

    async def test_a_late_one_gets_everything_before_it_serves(self, rig: Rig) -> None:
        upstream = await rig.upstream("local/0")
        names = [f"m{number}" for number in range(300)]
        await rig.apply_live(
            {"local:0": {"local/0": upstream.endpoint}}, {name: route(("local:0", f"{name}_1", 1)) for name in names}
        )
        gateway = await rig.gateway()
        for name in names[::17]:
            assert (await gateway.infer(name)).status_code == 200

    async def test_a_lost_one_holds_others_up_for_its_lease_and_no_longer(self, rig: Rig) -> None:
        rig.driver._fleet._lease_seconds = 1.0  # type: ignore[attr-defined]
        upstream = await rig.upstream("local/0")
        await rig.gateway("g1")
        lost = await rig.gateway("g2")
        await lost.kill()
        await until(lambda: [it.connected for it in rig.driver.gateways()] == [True, False], "g2 lost")
        await rig.apply_live({"local:0": {"local/0": upstream.endpoint}}, {"iris": route(("local:0", "iris_1", 1))})
        assert [it.id for it in rig.driver.gateways()] == ["g1"]


class TestControlPlaneRestart:
    async def test_gateways_serve_on_and_unchanged_state_is_not_sent_again(self, rig: Rig) -> None:
        gateway, upstream = await with_iris(rig)
        await rig.driver.stop()
        assert (await gateway.infer("iris")).status_code == 200

        rig.live.clear()
        await rig.start(opened=False)
        await until(lambda: rig.driver.gateways(), "the gateway back")
        rig.apply({"local:0": {"local/0": upstream.endpoint}}, {"iris": route(("local:0", "iris_1", 1))})
        assert (await gateway.infer("iris")).status_code == 200
        assert rig.live == {}
        before = rig.sent()
        rig.driver.open()
        await until(lambda: rig.live, "iris live")
        assert rig.sent() == before == 0
        assert (await gateway.infer("iris")).status_code == 200

    async def test_a_new_gateway_opens_no_port_before_the_state_is_complete(self, rig: Rig) -> None:
        await rig.driver.stop()
        await rig.start(opened=False)
        gateway = await rig.gateway(wait=False)
        await until(lambda: rig.driver.gateways(), "the gateway connected")
        upstream = await rig.upstream("local/0")
        rig.apply({"local:0": {"local/0": upstream.endpoint}}, {"iris": route(("local:0", "iris_1", 1))})
        with pytest.raises(httpx.ConnectError):
            await gateway.infer("iris")
        rig.driver.open()
        await rig.until_serving(gateway)
        assert (await gateway.infer("iris")).status_code == 200

    async def test_nothing_is_taken_away_before_the_state_is_complete(self, rig: Rig) -> None:
        gateway, _ = await with_iris(rig)
        await rig.driver.stop()
        await rig.start(opened=False)
        await until(lambda: rig.driver.gateways(), "the gateway back")
        assert (await gateway.infer("iris")).status_code == 200
        rig.driver.open()
        await until(lambda: rig.driver.gateways()[0].version == 0 and rig.sent() >= 2, "both taken away")
        assert (await gateway.infer("iris")).status_code == 404


class TestOffers:
    """Ways to a replica beside its announced ports: used where they are offered, not missed where they are not."""

    async def offering(self, rig: Rig, name: str = "local/0", behaviour: str = "echo"):  # type: ignore[no-untyped-def]
        upstream = await rig.upstream(name, behaviour)
        path = f"/tmp/modelyard-test-{os.getpid()}-{name.replace('/', '-')}.sock"
        await upstream.listen_locally(path, "here")
        return upstream

    async def test_a_gateway_on_the_same_machine_goes_by_the_socket_and_others_by_the_port(self, rig: Rig) -> None:
        upstream = await self.offering(rig)
        here, there = await rig.gateway("g1", machine="here"), await rig.gateway("g2", machine="there")
        await rig.apply_live({"local:0": {"local/0": upstream.endpoint}}, {"iris": route(("local:0", "iris_1", 1))})
        for gateway, by_socket in ((here, True), (there, False)):
            upstream.requests.clear()
            assert (await gateway.infer("iris")).status_code == 200
            assert (await gateway.grpc_infer("iris"))[0] == b"iris_1@local/0"
            assert [it.get("by_socket") for it in upstream.requests] == [by_socket] * 2  # none came by HTTP/2

    async def test_a_set_of_which_one_offers_nothing_is_reached_by_the_ports_of_all(self, rig: Rig) -> None:
        offering, plain = await self.offering(rig), await rig.upstream("local/1")
        gateway = await rig.gateway(machine="here")
        endpoints = {"local/0": offering.endpoint, "local/1": plain.endpoint}
        await rig.apply_live({"local:0,1": endpoints}, {"iris": route(("local:0,1", "iris_1", 1))})
        seen = {(await gateway.grpc_infer("iris"))[0] for _ in range(40)}
        assert seen == {b"iris_1@local/0", b"iris_1@local/1"}
        for _ in range(40):
            assert (await gateway.infer("iris")).status_code == 200
        assert offering.requests
        assert plain.requests

    async def test_not_loaded_here_is_tried_elsewhere_in_every_way(self, rig: Rig) -> None:
        empty, full = await self.offering(rig, "local/0", "not-loaded"), await self.offering(rig, "local/1")
        gateway = await rig.gateway(machine="here")
        endpoints = {"local/0": empty.endpoint, "local/1": full.endpoint}
        await rig.apply_live({"local:0,1": endpoints}, {"iris": route(("local:0,1", "iris_1", 1))})
        for _ in range(20):
            assert (await gateway.grpc_infer("iris"))[0] == b"iris_1@local/1"
        assert empty.requests

    async def test_an_offer_that_is_withdrawn_hurts_no_request(self, rig: Rig) -> None:
        upstream = await self.offering(rig, behaviour="hold")
        gateway = await rig.gateway(machine="here")
        await rig.apply_live({"local:0": {"local/0": upstream.endpoint}}, {"iris": route(("local:0", "iris_1", 1))})
        held = [asyncio.ensure_future(gateway.grpc_infer("iris")), asyncio.ensure_future(gateway.infer("iris"))]
        await until(lambda: len(upstream.requests) == 2, "both are under way by the socket")
        await rig.apply_live({"local:0": {"local/0": upstream.plain}}, {"iris": route(("local:0", "iris_1", 1))})
        upstream.released.set()
        assert (await held[0])[0] == b"iris_1@local/0"
        assert (await held[1]).status_code == 200
        upstream.requests.clear()
        assert (await gateway.grpc_infer("iris"))[0] == b"iris_1@local/0"
        assert (await gateway.infer("iris")).status_code == 200
        assert [it.get("by_socket") for it in upstream.requests] == [None, False]  # by HTTP/2, and by the port

    async def test_a_socket_that_nobody_hears_does_not_hide_another_replica(self, rig: Rig) -> None:
        dead, alive = await self.offering(rig, "local/0"), await self.offering(rig, "local/1")
        await dead.stop()
        gateway = await rig.gateway(machine="here")
        endpoints = {"local/0": dead.endpoint, "local/1": alive.endpoint}
        await rig.apply_live({"local:0,1": endpoints}, {"iris": route(("local:0,1", "iris_1", 1))})
        for _ in range(10):
            assert (await gateway.infer("iris")).json()["server"] == "local/1"
            assert (await gateway.grpc_infer("iris"))[0] == b"iris_1@local/1"
