"""AgentService over real gRPC, with small agents written by hand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from modelyard.domain.agent_protocol import ModelEventKind, ModelMeasure
from modelyard.domain.names import ReplicaId
from modelyard.wire import agents, grpc_server
from tests.scheduler.rig import PATIENCE, Rig, agent, held, load_request, scheduler, until, version


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with scheduler(tmp_path) as it:
        yield it


def connected(rig: Rig, replica: ReplicaId, session: str | None = None) -> bool:
    found = rig.core.machine.state.replica(replica)
    return found is not None and bool(found.session) and (session is None or found.session == session)


async def test_a_model_is_ordered_loaded_and_available(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        await until(lambda: connected(rig, peer.replica), "never subscribed")
        await rig.load("iris", memoryBytes=100)
        await rig.available("iris")
        assert peer.told() == ["LOAD iris_1"]
        assert peer.orders[0].model_version == held("iris", memoryBytes=100)


async def test_a_second_agent_of_a_replica_ends_the_first_with_a_sentence(rig: Rig) -> None:
    async with agent(rig.agents_address, session="first", obliging=False) as first:
        await until(lambda: connected(rig, first.replica, "first"), "never subscribed")
        await rig.load("iris")
        await first.is_told("LOAD iris_1")
        async with agent(rig.agents_address, session="second", obliging=False) as second:
            error = await asyncio.wait_for(first.ended, PATIENCE)
            assert error is not None
            assert error.code() is grpc.StatusCode.ABORTED
            assert error.details() == "another agent has subscribed as local/0: this one ends"
            await second.is_told("LOAD iris_1")
            # S8: what the first says is answered OK and changes nothing.
            await first.say(ModelEventKind.LOADED, version("iris"))
            await first.say(ModelEventKind.LOAD_FAILED, version("iris"), "stale")
            await second.say(ModelEventKind.LOADED, version("iris"))
            await rig.available("iris")
            assert connected(rig, second.replica, "second")


async def test_a_session_that_opens_another_stream_goes_on_with_that(rig: Rig) -> None:
    """The loss of the old stream is not the loss of the agent."""
    async with agent(rig.agents_address, session="same") as first:
        await until(lambda: connected(rig, first.replica), "never subscribed")
        async with agent(rig.agents_address, session="same") as second:
            error = await asyncio.wait_for(first.ended, PATIENCE)
            assert error is not None
            assert error.code() is grpc.StatusCode.ABORTED
            await rig.load("iris")
            await second.is_told("LOAD iris_1")
            await rig.available("iris")
            assert connected(rig, second.replica, "same")


async def test_the_same_on_one_connection_without_a_session_id(rig: Rig) -> None:
    """The reference's agents reconnect a stream on the channel that they have: the same peer address."""
    async with (
        grpc_server.channel(rig.agents_address) as channel,
        agent(rig.agents_address, session=None, channel=channel, available=900) as first,
    ):
        await until(lambda: connected(rig, first.replica), "never subscribed")
        async with agent(rig.agents_address, session=None, channel=channel, available=900) as second:
            await asyncio.wait_for(first.ended, PATIENCE)
            await rig.load("iris", memoryBytes=100)
            await second.is_told("LOAD iris_1")
            await rig.available("iris")


async def test_a_peer_without_session_ids_works_and_accounts_for_itself(rig: Rig) -> None:
    async with agent(rig.agents_address, session=None, memory=1000, available=300) as peer:
        await until(lambda: connected(rig, peer.replica), "never subscribed")
        with pytest.raises(grpc.aio.AioRpcError, match="needs 400, 300 free"):
            await rig.load("big", memoryBytes=400)
        await rig.load("iris", memoryBytes=100)
        await rig.available("iris")
    await until(lambda: not connected(rig, peer.replica), "still subscribed")


async def test_a_stream_that_ends_makes_the_replica_suspect_and_then_forgotten(rig: Rig) -> None:
    """Nothing answers on port 1 of this machine."""
    async with agent(rig.agents_address) as peer:
        await until(lambda: connected(rig, peer.replica), "never subscribed")
    await until(lambda: rig.core.machine.state.replica(peer.replica) is None, "never forgotten")


async def test_a_suspect_replica_whose_server_answers_keeps_its_models(rig: Rig) -> None:
    async def nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(nothing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with agent(rig.agents_address, http_port=port) as peer:
            await until(lambda: connected(rig, peer.replica), "never subscribed")
            await rig.load("iris")
            await rig.available("iris")
        found = rig.core.machine.state.replica(peer.replica)
        assert found is not None
        await until(lambda: found.check_at > found.since + 0.25, "never asked whether it answers")
        assert rig.core.machine.state.replica(peer.replica) is found
        await rig.available("iris")
        async with agent(rig.agents_address, session="two", http_port=port, holds=(held("iris"),)) as again:
            await until(lambda: connected(rig, again.replica, "two"), "never back")
            await rig.available("iris")
            assert again.told() == []


async def test_a_load_that_fails_is_tried_elsewhere(rig: Rig) -> None:
    async with (
        agent(rig.agents_address, "local/0", obliging=False) as bad,
        agent(rig.agents_address, "local/1") as good,
    ):
        await until(lambda: connected(rig, bad.replica) and connected(rig, good.replica), "never subscribed")
        await rig.load("iris")
        await bad.is_told("LOAD iris_1")
        await bad.say(ModelEventKind.LOAD_FAIL_MEMORY, version("iris"), "full")
        await rig.available("iris")
        assert good.told() == ["LOAD iris_1"]


async def test_rsync_is_answered_by_loads_on_the_stream(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        await until(lambda: connected(rig, peer.replica), "never subscribed")
        await rig.load("iris")
        await rig.available("iris")
        await peer.say(ModelEventKind.RSYNC, None)
        await peer.is_told("LOAD iris_1", "LOAD iris_1")


async def test_an_event_newer_than_ours_is_answered_ok_and_counted(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        message = agents.EventMessage(serverName="local", modelName="iris")
        message.event = 99  # type: ignore[assignment]
        await peer.stub.AgentEvent(message, metadata=peer.metadata, timeout=PATIENCE)
        assert rig.agent_service.ignored == {"agent event 99": 1}


async def test_scaling_triggers_are_taken_in_until_the_client_closes(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        triggers = [agents.ScalingTriggerMessage(serverName="local", modelName="iris", amount=n) for n in range(3)]
        await peer.stub.ModelScalingTrigger(iter(triggers), timeout=PATIENCE)
        assert rig.agent_service.ignored == {"scaling trigger": 3}


async def test_measured_memory_is_accounted(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        await until(lambda: connected(rig, peer.replica), "never subscribed")
        await rig.load("iris", memoryBytes=900)
        await rig.available("iris")
        report = agents.encode_report(peer.replica, (ModelMeasure(version("iris"), 200),))
        await peer.reports.Report(report, metadata=peer.metadata, timeout=PATIENCE)
        found = rig.core.machine.state.replica(peer.replica)
        assert found is not None
        await until(lambda: found.assigned_bytes == 200, "never accounted")


async def test_a_drain_moves_everything_and_then_answers(rig: Rig) -> None:
    async with agent(rig.agents_address, "local/0") as first, agent(rig.agents_address, "local/1", can=()) as second:
        await until(lambda: connected(rig, first.replica) and connected(rig, second.replica), "never subscribed")
        await rig.load("iris")
        await rig.available("iris")
        request = agents.DrainRequest(serverName="local", replicaIdx=0)
        answer = await first.stub.AgentDrain(request, timeout=PATIENCE)
        assert answer.success
        assert first.told() == ["LOAD iris_1", "UNLOAD iris_1"]
        await rig.available("iris")


async def test_a_drain_with_nowhere_to_go_says_no_at_once(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        await until(lambda: connected(rig, peer.replica), "never subscribed")
        await rig.load("iris")
        await rig.available("iris")
        answer = await peer.stub.AgentDrain(agents.DrainRequest(serverName="local"), timeout=PATIENCE)
        assert not answer.success


async def test_a_drain_is_over_before_the_caller_s_deadline(rig: Rig) -> None:
    async with (
        agent(rig.agents_address, "local/0") as first,
        agent(rig.agents_address, "local/1", obliging=False) as slow,
    ):
        await until(lambda: connected(rig, first.replica) and connected(rig, slow.replica), "never subscribed")
        await rig.load("iris")
        await rig.available("iris")
        answer = await first.stub.AgentDrain(agents.DrainRequest(serverName="local"), timeout=2)
        assert not answer.success


async def test_a_drain_without_a_deadline_does_not_trouble_the_scheduler(rig: Rig) -> None:
    async with (
        agent(rig.agents_address, "local/0") as first,
        agent(rig.agents_address, "local/1", obliging=False) as slow,
    ):
        await until(lambda: connected(rig, first.replica) and connected(rig, slow.replica), "never subscribed")
        await rig.load("iris")
        await rig.available("iris")
        draining = asyncio.ensure_future(first.stub.AgentDrain(agents.DrainRequest(serverName="local")))
        await slow.is_told("LOAD iris_1")
        (drain,) = rig.core.machine.state.drains.values()
        assert drain.deadline < asyncio.get_running_loop().time() + 10**10
        await slow.say(ModelEventKind.LOADED, version("iris"))
        assert (await asyncio.wait_for(draining, PATIENCE)).success


async def test_a_drain_of_a_replica_that_nobody_knows_is_done(rig: Rig) -> None:
    async with agent(rig.agents_address) as peer:
        request = agents.DrainRequest(serverName="nobody", replicaIdx=9)
        assert (await peer.stub.AgentDrain(request, timeout=PATIENCE)).success


async def test_a_server_with_a_bad_name_is_told_so(rig: Rig) -> None:
    async with agent(rig.agents_address, "Bad_Name/0") as peer:
        error = await asyncio.wait_for(peer.ended, PATIENCE)
        assert error is not None
        assert "is not a valid name" in (error.details() or "")


async def test_a_peer_that_calls_its_memory_unlimited_does_not_trouble_the_scheduler(rig: Rig) -> None:
    async with agent(rig.agents_address, memory=2**64 - 1) as peer:
        await until(lambda: connected(rig, peer.replica), "never subscribed")
        await rig.load("iris", memoryBytes=100)
        await rig.available("iris")


async def test_a_stranger_is_unloaded_and_what_is_wanted_is_kept(rig: Rig) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await rig.api.LoadModel(load_request("iris"), timeout=PATIENCE)
    rig.core.machine.state.rebuild_until = 0.0  # a scheduler that has run for a while
    async with agent(rig.agents_address, holds=(held("iris"), held("wine", 3)), obliging=False) as peer:
        await peer.is_told("UNLOAD wine_3")
        await rig.available("iris")
