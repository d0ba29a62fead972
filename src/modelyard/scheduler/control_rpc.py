"""`modelyard.v1.Control`: apply with presence, reasons, history, and the wishes that providers follow."""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import grpc.aio

from modelyard.domain.status import ApplyOutcome, SystemStatus
from modelyard.kit.errors import InvalidInput, NotFound
from modelyard.scheduler.applying import foreseen, model_problem
from modelyard.scheduler.core import Core
from modelyard.scheduler.explain import explain, would_place
from modelyard.scheduler.messages import (
    Done,
    ModelAnswer,
    ModelApplied,
    ServerApplied,
    ServerDeleted,
    ServerReported,
)
from modelyard.scheduler.state import State
from modelyard.scheduler.views import server_status
from modelyard.wire import control, provision, statuses

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
NOBODY_PROVIDES = "nobody provides servers here at the moment: it takes effect when `modelyard up` runs"


class ControlService:
    """`system` tells of what is outside the state: gateways, refusals, version, warnings."""

    def __init__(self, core: Core, system: Callable[[], SystemStatus]) -> None:
        self._core = core
        self._system = system

    @property
    def _state(self) -> State:
        return self._core.machine.state

    async def ApplyModel(self, request: control.ApplyModelRequest, _context: Context) -> control.ApplyModelResponse:
        model = control.decode_apply_model(request)
        if request.dry_run:
            problem = model_problem(model)
            if problem:
                raise InvalidInput(problem)
            return control.encode_applied_model(*foreseen(self._state, model), would_place(self._state, model))
        answer = await self._core.ask(lambda ticket: ModelApplied(model, ticket, f"apply model {model.name}"))
        assert isinstance(answer, ModelAnswer)
        return control.encode_applied_model(answer.outcome, answer.version, answer.explanation)

    async def ExplainModel(
        self, request: control.ExplainModelRequest, _context: Context
    ) -> control.ExplainModelResponse:
        record = self._state.models.get(request.name)
        if record is None:
            raise NotFound(f"no model is named {request.name!r}")
        return control.encode_explained_model(record.latest, explain(self._state, request.name))

    async def ApplyServer(self, request: control.ApplyServerRequest, _context: Context) -> control.ApplyServerResponse:
        manifest = control.decode_server_manifest(request.server)
        note = "" if len(self._core.manifests) else NOBODY_PROVIDES
        if request.dry_run:
            server = self._state.servers.get(manifest.name)
            same = server is not None and server.manifest == manifest
            there = server is not None and server.manifest is not None
            outcome = ApplyOutcome.RESCHEDULED if there else ApplyOutcome.CREATED
            return control.encode_applied_server(ApplyOutcome.UNCHANGED if same else outcome, note)
        answer = await self._core.ask(lambda ticket: ServerApplied(manifest, ticket, f"apply server {manifest.name}"))
        assert isinstance(answer, Done)
        return control.encode_applied_server(answer.outcome, note)

    async def DeleteServer(
        self, request: control.DeleteServerRequest, _context: Context
    ) -> control.DeleteServerResponse:
        name = request.name
        await self._core.ask(lambda ticket: ServerDeleted(name, ticket, f"delete server {name}"))
        return control.DeleteServerResponse()

    async def ListServers(self, request: control.ListServersRequest, _context: Context) -> control.ListServersResponse:
        response = control.ListServersResponse()
        for name in [request.name] if request.name else sorted(self._state.servers):
            status = server_status(self._state, name)
            if status is None:
                raise NotFound(f"no server is named {name!r}")
            response.servers.append(statuses.encode_server_status(status))
        return response

    async def ListEvents(self, request: control.ListEventsRequest, _context: Context) -> control.ListEventsResponse:
        return statuses.encode_notes(await self._core.events(request.subject, request.limit))

    async def GetSystem(self, _request: control.GetSystemRequest, _context: Context) -> control.GetSystemResponse:
        return statuses.encode_system(self._system())

    async def WatchServers(
        self, _request: control.WatchServersRequest, _context: Context
    ) -> AsyncIterator[control.WatchServersResponse]:
        """Everything that is wanted, now and after each change."""
        watch = self._core.manifests.open(["now"])
        try:
            while True:
                await watch.take()
                manifests = (server.manifest for _, server in sorted(self._state.servers.items()))
                yield provision.encode_wanted(it for it in manifests if it is not None)
        finally:
            self._core.manifests.close(watch)

    async def ReportServer(
        self, request: control.ReportServerRequest, _context: Context
    ) -> control.ReportServerResponse:
        await self._core.tell(ServerReported(request.name, request.text, "its provider said so"))
        return control.ReportServerResponse()
