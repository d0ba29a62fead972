"""Our own additions to the API over real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.domain.server import ServerManifest
from modelyard.domain.status import ApplyOutcome, Explanation
from modelyard.wire import control, statuses
from modelyard.wire._pb2.modelyard.v1 import control_pb2 as pb
from tests.scheduler.rig import PATIENCE, Rig, agent, scheduler, until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with scheduler(tmp_path) as it:
        yield it


def model(*, memory: int = 100, wanted: Replicas | None = None, uri: str = "file:///m") -> Model:
    return Model("iris", ModelSpec(Artifact(uri), memory_bytes=memory), wanted or Replicas())


async def apply(rig: Rig, it: Model, *, dry_run: bool = False) -> tuple[ApplyOutcome, int, Explanation]:
    answer = await rig.control.ApplyModel(control.encode_apply_model(it, dry_run=dry_run), timeout=PATIENCE)
    return control.decode_applied_model(answer)


async def test_applying_says_what_changed_and_where_it_goes(rig: Rig) -> None:
    async with agent(rig.agents_address):
        await rig.available_server()
        outcome, number, said = await apply(rig, model())
        assert (outcome, number, said.placed) == (ApplyOutcome.CREATED, 1, True)
        assert said.summary == "version 1 is on local/0 (loading)"
        assert (await apply(rig, model()))[:2] == (ApplyOutcome.UNCHANGED, 1)
        assert (await apply(rig, model(wanted=Replicas(1, 0, 3))))[:2] == (ApplyOutcome.RESCHEDULED, 1)
        assert (await apply(rig, model(uri="file:///two")))[:2] == (ApplyOutcome.NEW_VERSION, 2)


async def test_the_presence_of_counts_is_kept(rig: Rig) -> None:
    await apply(rig, model(wanted=Replicas(1, 0, None)))
    assert rig.core.machine.state.models["iris"].wanted.model.replicas == Replicas(1, 0, None)


async def test_a_dry_run_says_the_same_as_applying_and_changes_nothing(rig: Rig) -> None:
    async with agent(rig.agents_address):
        await rig.available_server()
        assert (await apply(rig, model(), dry_run=True))[0] is ApplyOutcome.CREATED
        assert rig.core.machine.state.models == {}
        assert rig.journal.read().models == ()
        for it in (model(), model(), model(wanted=Replicas(1, 1)), model(uri="file:///two")):
            foreseen, number, said = await apply(rig, it, dry_run=True)
            outcome, version, placed = await apply(rig, it)
            assert (foreseen, number, said.placed) == (outcome, version, placed.placed)


async def test_a_dry_run_of_a_bad_model_is_an_invalid_argument(rig: Rig) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await apply(rig, model(uri=""), dry_run=True)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_model_is_explained_replica_by_replica(rig: Rig) -> None:
    async with agent(rig.agents_address, memory=1000), agent(rig.agents_address, "small/0", memory=50):
        await until(lambda: len(rig.core.machine.state.servers) == 2, "never subscribed")
        await apply(rig, model())
        await rig.available("iris")
        answer = await rig.control.ExplainModel(pb.ExplainModelRequest(name="iris"))
        said = control.decode_explanation(answer.explanation)
        assert said.summary == "version 1 is on local/0 (available)"
        assert [(str(it.replica), it.chosen, it.reason) for it in said.verdicts] == [
            ("local/0", True, "available"),
            ("small/0", False, "needs 100, the replica has 50 in all"),
        ]


@pytest.mark.parametrize(
    ("rpc", "request_message"),
    [
        ("ExplainModel", pb.ExplainModelRequest(name="nobody")),
        ("ListServers", pb.ListServersRequest(name="nobody")),
        ("DeleteServer", pb.DeleteServerRequest(name="nobody")),
    ],
)
async def test_what_is_not_there_is_not_found(rig: Rig, rpc: str, request_message: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(rig.control, rpc)(request_message)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_history_tells_in_order_what_happened_and_what_brought_it_about(rig: Rig) -> None:
    async with agent(rig.agents_address):
        await rig.available_server()
        await apply(rig, model())
        await rig.available("iris")
        answer = await rig.control.ListEvents(pb.ListEventsRequest(subject="model/iris"))
        notes = statuses.decode_notes(answer)
        assert [(it.text, it.cause) for it in notes] == [
            ("version 1 is wanted: file:///m", "apply model iris"),
            ("version 1 is to be loaded on local/0", "apply model iris"),
            ("version 1 is ModelProgressing: loading", "apply model iris"),
            ("version 1 is loaded on local/0", "local/0 said LOADED iris_1"),
            ("version 1 is ModelAvailable", "the gateways answered"),
        ]
        newest = await rig.control.ListEvents(pb.ListEventsRequest(limit=1))
        assert statuses.decode_notes(newest) == notes[-1:]


async def test_servers_are_listed_with_their_replicas_and_models(rig: Rig) -> None:
    async with agent(rig.agents_address):
        await rig.available_server()
        await apply(rig, model())
        await rig.available("iris")
        (view,) = (await rig.control.ListServers(pb.ListServersRequest())).servers
        status = statuses.decode_server_status(view)
        (replica,) = status.replicas
        assert (str(replica.replica), replica.assigned_bytes, [str(it.version) for it in replica.models]) == (
            "local/0",
            100,
            ["iris_1"],
        )


def applied(manifest: ServerManifest, *, dry_run: bool = False) -> pb.ApplyServerRequest:
    return pb.ApplyServerRequest(server=control.encode_server_manifest(manifest), dry_run=dry_run)


async def test_providers_hear_of_every_manifest_and_say_what_they_cannot_do(rig: Rig) -> None:
    manifest = ServerManifest("gpu", Replicas(2))
    answer = control.decode_applied_server(await rig.control.ApplyServer(applied(manifest)))
    assert answer[0] is ApplyOutcome.CREATED
    assert "nobody provides servers here" in answer[1]
    stream = rig.control.WatchServers(pb.WatchServersRequest(provider="test"))
    wanted = await asyncio.wait_for(stream.read(), PATIENCE)
    assert [control.decode_server_manifest(it) for it in wanted.servers] == [manifest]
    more = ServerManifest("gpu", Replicas(3))
    assert control.decode_applied_server(await rig.control.ApplyServer(applied(more, dry_run=True))) == (
        ApplyOutcome.RESCHEDULED,
        "",
    )
    assert control.decode_applied_server(await rig.control.ApplyServer(applied(more))) == (ApplyOutcome.RESCHEDULED, "")
    wanted = await asyncio.wait_for(stream.read(), PATIENCE)
    assert [it.replicas.replicas for it in wanted.servers] == [3]
    await rig.control.ReportServer(pb.ReportServerRequest(name="gpu", text="there is no GPU"))
    await rig.control.DeleteServer(pb.DeleteServerRequest(name="gpu"))
    assert not (await asyncio.wait_for(stream.read(), PATIENCE)).servers
    notes = statuses.decode_notes(await rig.control.ListEvents(pb.ListEventsRequest(subject="server/gpu")))
    assert "there is no GPU" in [it.text for it in notes]
    stream.cancel()


async def test_history_can_be_read_while_it_is_written(rig: Rig) -> None:
    """The journal has one connection; readers must not stumble over its writer's transaction."""
    async with agent(rig.agents_address):
        await rig.available_server()

        async def read() -> int:
            answer = await rig.control.ListEvents(pb.ListEventsRequest(), timeout=PATIENCE)
            return len(answer.events)

        for n in range(20):
            before = await read()
            _, *counts = await asyncio.gather(apply(rig, model(uri=f"file:///{n}")), *(read() for _ in range(5)))
            assert min(counts) >= before
