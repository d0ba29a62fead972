"""`seldon.mlops.agent.AgentService` and our agents' reports: what agents say becomes events, orders go out."""

import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from modelyard.kit import clock
from modelyard.scheduler.core import Core
from modelyard.scheduler.messages import (
    DrainAnswer,
    DrainAsked,
    ModelReported,
    ModelsMeasured,
    OffersTold,
    ReplicaLost,
    ReplicaSubscribed,
)
from modelyard.scheduler.sessions import Superseded
from modelyard.wire import agents

DRAIN_SECONDS = 60.0  # where the caller sets no deadline of its own
DRAIN_MARGIN_SECONDS = 0.5

log = logging.getLogger(__name__)


def _told_session(context: grpc.aio.ServicerContext[Any, Any]) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == agents.SESSION_HEADER and isinstance(value, str):
            return value
    return None


def _session(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Ours say their session; for other peers the connection stands for it."""
    return _told_session(context) or context.peer()


class AgentService:
    """`ignored` counts what newer peers sent and this version does not know."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.ignored: Counter[str] = Counter()

    async def Subscribe(
        self, request: agents.SubscribeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[agents.OperationMessage]:
        subscription = agents.decode_subscription(request)
        told = _told_session(context)
        session = self._core.sessions.open(subscription.replica, told or context.peer())
        cause = f"agent of {subscription.replica} subscribed"
        await self._core.tell(ReplicaSubscribed(session.id, subscription, told is None, cause))
        try:
            while True:
                order = await session.orders.get()
                if isinstance(order, Superseded):
                    log.info("agent of %s: %s", session.replica, order.reason)
                    await context.abort(grpc.StatusCode.ABORTED, order.reason)
                yield agents.encode_operation(order)
        finally:
            if self._core.sessions.close(session):
                lost = ReplicaLost(session.replica, session.id, f"agent of {session.replica} was lost")
                self._core.tell_now(lost)

    async def AgentEvent(
        self, request: agents.EventMessage, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agents.EventResponse:
        event = agents.decode_event(request)
        if event is None:
            self.ignored[f"agent event {request.event}"] += 1
        else:
            cause = f"{event.replica} said {event.kind.name} {event.version or 'everything'}"
            await self._core.tell(ModelReported(_session(context), event, cause))
        return agents.EventResponse()

    async def ModelScalingTrigger(
        self,
        requests: AsyncIterator[agents.ScalingTriggerMessage],
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> agents.ScalingTriggerResponse:
        """Taken in and let go of, until models scale by themselves."""
        async for _ in requests:
            self.ignored["scaling trigger"] += 1
        return agents.ScalingTriggerResponse()

    async def AgentDrain(
        self, request: agents.DrainRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agents.DrainResponse:
        replica = agents.decode_drain(request)
        left = context.time_remaining()
        seconds = DRAIN_SECONDS if left is None else max(0.0, left - DRAIN_MARGIN_SECONDS)
        deadline = clock.now() + seconds
        answer = await self._core.ask(lambda ticket: DrainAsked(replica, deadline, ticket, f"drain of {replica}"))
        assert isinstance(answer, DrainAnswer)
        return agents.DrainResponse(success=answer.success)


class AgentReports:
    """`modelyard.v1.AgentReports`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def Report(
        self, request: agents.ReportMessage, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agents.ReportResponse:
        replica, measures = agents.decode_measures(request)
        session, cause = _session(context), f"report of {replica}"
        if (offers := agents.decode_offers(request)) is not None:
            await self._core.tell(OffersTold(replica, session, offers, cause))
        if measures:
            await self._core.tell(ModelsMeasured(replica, session, measures, cause))
        return agents.ReportResponse()
