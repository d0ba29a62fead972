"""`seldon.mlops.scheduler.Scheduler`: the API of the reference system, as far as it is built."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import grpc.aio

from modelyard import __version__
from modelyard.domain.model import Model
from modelyard.domain.status import ModelState, ModelStatus
from modelyard.kit.errors import NotFound, Refused
from modelyard.scheduler.core import Core
from modelyard.scheduler.messages import ModelAnswer, ModelApplied, ModelDeleted, ServersNoticed
from modelyard.scheduler.state import State
from modelyard.scheduler.views import model_status, server_status
from modelyard.wire import models, servers, statuses

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class SchedulerService:
    """Mutations of pipelines and experiments have no method here, and so answer UNIMPLEMENTED in a sentence."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- models

    async def LoadModel(self, request: servers.LoadModelRequest, _context: Context) -> servers.LoadModelResponse:
        """Kept, and tried again by itself, even where it answers FAILED_PRECONDITION: no place for it now."""
        model = models.decode_model(request.model)
        answer = await self._core.ask(lambda ticket: ModelApplied(model, ticket, _cause("LoadModel", model)))
        assert isinstance(answer, ModelAnswer)
        if not answer.explanation.placed and self._core.opened.is_set():
            raise Refused(answer.explanation.summary)
        return servers.LoadModelResponse()

    async def UnloadModel(
        self, request: statuses.UnloadModelRequest, _context: Context
    ) -> statuses.UnloadModelResponse:
        name = request.model.name
        await self._core.ask(lambda ticket: ModelDeleted(name, ticket, f"UnloadModel {name}"))
        return statuses.UnloadModelResponse()

    async def ModelStatus(
        self, request: statuses.ModelStatusRequest, _context: Context
    ) -> AsyncIterator[statuses.ModelStatusResponse]:
        names: Iterable[str] = [request.model.name] if request.HasField("model") else sorted(self._state.models)
        for name in names:
            status = model_status(self._state, name, all_versions=request.allVersions)
            if status is None and request.HasField("model"):
                raise NotFound(f"no model is named {name!r}")
            if status is not None:
                yield statuses.encode_model_status(status)

    async def SubscribeModelStatus(
        self, _request: statuses.ModelSubscriptionRequest, _context: Context
    ) -> AsyncIterator[statuses.ModelStatusResponse]:
        """All models as they are, then each that changes; a deleted one a last time, terminated."""
        watch = self._core.models.open(sorted(self._state.models))
        told: dict[str, ModelStatus] = {}
        try:
            while True:
                for name in await watch.take():
                    status = model_status(self._state, name, all_versions=True)
                    if status is None:
                        if name not in told:
                            continue
                        status = _terminated(told.pop(name))
                    else:
                        told[name] = status
                    yield statuses.encode_model_status(status)
        finally:
            self._core.models.close(watch)

    # -- servers

    async def ServerNotify(
        self, request: servers.ServerNotifyRequest, _context: Context
    ) -> servers.ServerNotifyResponse:
        notices = servers.decode_notices(request)
        names = ", ".join(it.name for it in notices)
        await self._core.ask(lambda ticket: ServersNoticed(notices, request.isFirstSync, ticket, f"notice of {names}"))
        return servers.ServerNotifyResponse()

    async def ServerStatus(
        self, request: servers.ServerStatusRequest, _context: Context
    ) -> AsyncIterator[servers.ServerStatusResponse]:
        for name in [request.name] if request.HasField("name") else sorted(self._state.servers):
            status = server_status(self._state, name)
            if status is None:
                raise NotFound(f"no server is named {name!r}")
            yield servers.encode_server_status_response(status)

    async def SubscribeServerStatus(
        self, _request: object, _context: Context
    ) -> AsyncIterator[servers.ServerStatusResponse]:
        watch = self._core.servers.open(sorted(self._state.servers))
        try:
            while True:
                for name in await watch.take():
                    status = server_status(self._state, name)
                    if status is not None:
                        yield servers.encode_server_status_response(status)
        finally:
            self._core.servers.close(watch)

    # -- the scheduler itself

    async def SchedulerStatus(
        self, _request: servers.SchedulerStatusRequest, _context: Context
    ) -> servers.SchedulerStatusResponse:
        return servers.SchedulerStatusResponse(applicationVersion=__version__)

    async def SubscribeControlPlane(
        self, _request: object, _context: Context
    ) -> AsyncIterator[servers.ControlPlaneResponse]:
        """A peer that keeps manifests is asked for its servers first; for the rest once we decide freely."""
        for event in servers.ASK_FOR_SERVERS:
            yield servers.ControlPlaneResponse(event=event)
        await self._core.opened.wait()
        for event in servers.ASK_FOR_THE_REST:
            yield servers.ControlPlaneResponse(event=event)
        await asyncio.Event().wait()

    # -- not built yet: questions have no answers, subscriptions stay open and silent

    def PipelineStatus(self, _request: object, _context: Context) -> AsyncIterator[object]:
        return _nothing()

    def ExperimentStatus(self, _request: object, _context: Context) -> AsyncIterator[object]:
        return _nothing()

    def SubscribePipelineStatus(self, _request: object, _context: Context) -> AsyncIterator[object]:
        return _silence()

    def SubscribeExperimentStatus(self, _request: object, _context: Context) -> AsyncIterator[object]:
        return _silence()

    @property
    def _state(self) -> State:
        return self._core.machine.state


async def _nothing() -> AsyncIterator[object]:
    for it in tuple[object, ...]():
        yield it


async def _silence() -> AsyncIterator[object]:
    """For ever."""
    await asyncio.Event().wait()
    async for it in _nothing():
        yield it


def _cause(rpc: str, model: Model) -> str:
    return f"{rpc} {model.name}"


def _terminated(last: ModelStatus) -> ModelStatus:
    """What is said of a model that is gone."""
    versions = tuple(
        replace(v, state=ModelState.TERMINATED, reason="", available_replicas=0, unavailable_replicas=0, replicas=())
        for v in last.versions
    )
    return ModelStatus(last.name, versions, deleted=True)
