"""The agent's side of the agent protocol: one Subscribe stream at a time, and the events that go with it.

A session lives as long as its stream. Its events are sent one after another, in order, again and again until they
arrive or the session ends; then they are dropped, because the next Subscribe tells everything.
"""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from modelyard.agent.machine import Agent
from modelyard.agent.messages import Event, LoadOrdered, SessionLost, SessionOpened, UnloadOrdered
from modelyard.agent.problems import Superseded
from modelyard.agent.reports import Fetched, Reports, nothing_fetched, nothing_offered
from modelyard.domain.agent_protocol import ModelEvent, Operation, OperationKind, Subscription
from modelyard.domain.names import VersionId
from modelyard.domain.server import Offers
from modelyard.kit import backoff, clock
from modelyard.wire import agents, grpc_server, service

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 1.0, 15.0
CALL_SECONDS = 15.0
# A stream that lived this long was a good one: the next wait is short again.
GOOD_STREAM_SECONDS = 15.0
_TRY_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)


class Session:
    """Runs sessions one after another. `start` and `send` perform the machine's `Subscribe` and `Tell`."""

    def __init__(
        self,
        target: str,
        agent: Agent,
        emit: Callable[[Event], Awaitable[None]],
        progress: Callable[[VersionId], Fetched | None] = nothing_fetched,
        offers: Callable[[], Offers | None] = nothing_offered,
    ) -> None:
        self._target = target
        self._agent = agent  # read only: what there is to report
        self._emit = emit
        self._progress = progress
        self._offers = offers
        self._id = ""
        self._outbox: asyncio.Queue[ModelEvent] = asyncio.Queue()
        self._starts: asyncio.Queue[tuple[str, Subscription]] = asyncio.Queue()
        self.ignored: Counter[str] = Counter()

    def start(self, session: str, subscription: Subscription) -> None:
        self._starts.put_nowait((session, subscription))

    def send(self, session: str, event: ModelEvent) -> None:
        if session == self._id:
            self._outbox.put_nowait(event)

    async def run(self) -> None:
        """For ever. Raises `Superseded` when the scheduler prefers another agent of this replica."""
        waits = backoff.delays(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS)
        async with grpc_server.channel(self._target) as channel:
            while True:
                await self._connected(channel)
                began = clock.now()
                await self._one(channel)
                if clock.now() - began >= GOOD_STREAM_SECONDS:
                    waits = backoff.delays(FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS)
                await asyncio.sleep(next(waits))

    async def _connected(self, channel: grpc.aio.Channel) -> None:
        """Wait until there is somebody to talk to: what Subscribe says must be true when it is heard."""
        while True:
            try:
                await asyncio.wait_for(channel.channel_ready(), MOST_WAIT_SECONDS)
                return
            except TimeoutError:
                log.warning("cannot reach the scheduler at %s; trying on", self._target)

    async def _one(self, channel: grpc.aio.Channel) -> None:
        """One session, from its beginning to its end."""
        self._id = str(uuid.uuid4())
        self._outbox = asyncio.Queue()
        await self._emit(SessionOpened(self._id))
        session, subscription = await self._starts.get()
        metadata = ((agents.SESSION_HEADER, session),)
        stub = service.Stub(channel, service.AGENT)
        reports = Reports(self._agent, channel, metadata, self._progress, self._offers)
        talk = [
            asyncio.create_task(self._send_events(stub, reports), name="events"),
            asyncio.create_task(reports.run(), name="reports"),
        ]
        log.info("subscribing at %s with %d loaded models, session %s", self._target, len(subscription.loaded), session)
        try:
            call = stub.Subscribe(agents.encode_subscription(subscription), metadata=metadata)
            async for message in call:
                await self._receive(session, message)
            log.warning("the scheduler ended the session")
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.ABORTED:
                raise Superseded(f"the scheduler ended this agent's session: {error.details()}") from error
            log.warning("the session with the scheduler ended: %s: %s", error.code().name, error.details())
        finally:
            self._id = ""
            for task in talk:
                task.cancel()
            await asyncio.gather(*talk, return_exceptions=True)
        await self._emit(SessionLost(session))

    async def _receive(self, session: str, message: agents.OperationMessage) -> None:
        match agents.decode_operation(message):
            case None:
                self.ignored["operation"] += 1
                log.debug("ignored an operation that is newer than this agent: %s", message.operation)
            case Operation(OperationKind.LOAD, model_version, autoscaling):
                await self._emit(LoadOrdered(session, model_version, autoscaling))
            case Operation(OperationKind.UNLOAD, model_version):
                await self._emit(UnloadOrdered(session, model_version.id))

    async def _send_events(self, stub: service.Stub, reports: Reports) -> None:
        """What a model was measured to take is told before what became of it: who places it anew goes by that."""
        outbox, metadata = self._outbox, reports.metadata
        while True:
            event = await outbox.get()
            await reports.send()
            message = agents.encode_event(event)
            waits = backoff.delays(0.2, MOST_WAIT_SECONDS)
            for wait in waits:
                if await self._sent(stub.AgentEvent, message, metadata, event.kind.name):
                    break
                await asyncio.sleep(wait)

    async def _sent(self, call: Any, message: Any, metadata: tuple[tuple[str, str], ...], what: str) -> bool:
        """False: try again."""
        try:
            await call(message, metadata=metadata, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in _TRY_AGAIN:
                log.info("%s did not reach the scheduler (%s); sending it again", what, error.code().name)
                return False
            log.warning("the scheduler refused %s: %s: %s", what, error.code().name, error.details())
        return True
