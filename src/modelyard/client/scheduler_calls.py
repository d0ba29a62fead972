"""What can be asked of the scheduler."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import grpc
import grpc.aio

from modelyard.client.addresses import Addresses
from modelyard.client.conditions import Condition, is_met, unmet
from modelyard.client.manifest_files import read_manifests
from modelyard.client.results import Applied, Explained
from modelyard.domain.model import Artifact, Model, ModelSpec
from modelyard.domain.server import ServerManifest
from modelyard.domain.status import ModelStatus, Note, ServerStatus, SystemStatus
from modelyard.kit.errors import InvalidInput, ModelyardError, NotFound, TimedOut, Unavailable
from modelyard.wire import control, grpc_server, service, statuses
from modelyard.wire.manifest_values import replicas_from
from modelyard.wire.manifests import Manifest, check_name, parse_manifest
from modelyard.wire.models import encode_storage
from modelyard.wire.quantities import parse_bytes

SUBSCRIBER = "modelyard client"
# A status that no stream told of is asked for again after so long.
RECHECK_SECONDS = 1.0


class SchedulerCalls:
    """The control half of the client."""

    def __init__(self, addresses: Addresses, timeout_seconds: float) -> None:
        self._addresses = addresses
        self._timeout_seconds = timeout_seconds
        self._channel: grpc.aio.Channel | None = None

    async def apply(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        text: str | None = None,
        dry_run: bool = False,
    ) -> list[Applied]:
        """Apply every manifest of a file, a folder, or a text; all are checked before the first is sent."""
        if (path is None) == (text is None):
            raise InvalidInput("apply needs either a path or text=…")
        manifests = read_manifests([os.fspath(path)]) if path is not None else parse_manifest(text or "", "text")
        return [await self.apply_manifest(it, dry_run=dry_run) for it in manifests]

    async def apply_manifest(self, manifest: Manifest, *, dry_run: bool = False) -> Applied:
        """Apply one manifest that was read before (`modelyard.wire.manifests`)."""
        item = manifest.item
        if isinstance(item, ServerManifest):
            request = control.ApplyServerRequest(server=control.encode_server_manifest(item), dry_run=dry_run)
            outcome, note = control.decode_applied_server(await self._ask(service.CONTROL, "ApplyServer", request))
            notes = (*manifest.notes, note) if note else manifest.notes
            return Applied(manifest.subject, outcome, notes=notes)
        return await self._apply_model(item, manifest.notes, dry_run)

    async def load(
        self,
        name: str,
        uri: str | os.PathLike[str],
        *,
        requires: Iterable[str] = (),
        memory: int | str | None = None,
        replicas: int | None = None,
        min_replicas: int | None = None,
        max_replicas: int | None = None,
        server: str | None = None,
        artifact_version: int | None = None,
        parameters: Mapping[str, str] | None = None,
        secret: str | None = None,
        dry_run: bool = False,
    ) -> Applied:
        """Load a model, or change one. Returns once it is accepted; `wait` until it is Available.

        `memory` is in bytes or a quantity such as "500M"; `requires` are capabilities such as "onnx"; `secret` names
        the credentials of its storage.
        """
        counts = replicas_from(replicas, min_replicas, max_replicas)
        if problem := counts.problem():
            raise InvalidInput(problem)
        spec = ModelSpec(
            artifact=Artifact(os.fspath(uri), artifact_version, encode_storage(secret or "")),
            requirements=frozenset(requires),
            memory_bytes=None if memory is None else parse_bytes(memory),
            server=check_name(server) if server else None,
            parameters=tuple((parameters or {}).items()),
        )
        return await self._apply_model(Model(check_name(name), spec, counts), (), dry_run)

    async def _apply_model(self, model: Model, notes: tuple[str, ...], dry_run: bool) -> Applied:
        request = control.encode_apply_model(model, dry_run=dry_run)
        answer = await self._ask(service.CONTROL, "ApplyModel", request)
        outcome, version, explanation = control.decode_applied_model(answer)
        return Applied(f"model/{model.name}", outcome, version, explanation, notes)

    async def unload(self, name: str) -> None:
        """Delete a model, with all its versions. Returns once that is accepted; `wait` for "Deleted"."""
        request = statuses.UnloadModelRequest(model=statuses.ModelReference(name=check_name(name)))
        await self._ask(service.SCHEDULER, "UnloadModel", request)

    async def delete_server(self, name: str) -> None:
        """Withdraw a server: its provider stops its replicas."""
        await self._ask(service.CONTROL, "DeleteServer", control.DeleteServerRequest(name=check_name(name)))

    async def models(self, *, all_versions: bool = False) -> list[ModelStatus]:
        """Every model, by name; only its newest version unless told otherwise."""
        request = statuses.ModelStatusRequest(subscriberName=SUBSCRIBER, allVersions=all_versions)
        return sorted(await self._model_statuses(request), key=lambda it: it.name)

    async def model(self, name: str) -> ModelStatus:
        """One model with all its versions. Raises `NotFound`."""
        request = statuses.ModelStatusRequest(
            subscriberName=SUBSCRIBER, model=statuses.ModelReference(name=check_name(name)), allVersions=True
        )
        found = [it for it in await self._model_statuses(request) if it.name == name and it.versions]
        if not found:
            raise NotFound(f"there is no model {name}")
        return found[0]

    async def _model_statuses(self, request: Any) -> list[ModelStatus]:
        return [
            statuses.decode_model_status(it) async for it in self._stream(service.SCHEDULER, "ModelStatus", request)
        ]

    async def watch_models(self) -> AsyncIterator[ModelStatus]:
        """Each change of a model's status, as it happens, without an end."""
        request = statuses.ModelSubscriptionRequest(subscriberName=SUBSCRIBER)
        async for message in self._stream(service.SCHEDULER, "SubscribeModelStatus", request, endless=True):
            yield statuses.decode_model_status(message)

    async def servers(self) -> list[ServerStatus]:
        """Every server with its replicas and what they hold, by name."""
        return await self._servers("")

    async def server(self, name: str) -> ServerStatus:
        """One server. Raises `NotFound`."""
        found = [it for it in await self._servers(check_name(name)) if it.name == name]
        if not found:
            raise NotFound(f"there is no server {name}")
        return found[0]

    async def _servers(self, name: str) -> list[ServerStatus]:
        answer = await self._ask(service.CONTROL, "ListServers", control.ListServersRequest(name=name))
        return sorted((statuses.decode_server_status(it) for it in answer.servers), key=lambda it: it.name)

    async def explain(self, name: str) -> Explained:
        """Why a model is where it is, or nowhere: what every replica has to say about it."""
        request = control.ExplainModelRequest(name=check_name(name))
        answer = await self._ask(service.CONTROL, "ExplainModel", request)
        return Explained(name, answer.version, control.decode_explanation(answer.explanation))

    async def events(self, subject: str = "", *, limit: int = 0) -> list[Note]:
        """What happened, oldest first: to "model/iris", to "server/local", or to everything. `limit` 0: all kept."""
        request = control.ListEventsRequest(subject=subject, limit=limit)
        return list(statuses.decode_notes(await self._ask(service.CONTROL, "ListEvents", request)))

    async def status(self) -> SystemStatus:
        """The scheduler and its gateways."""
        return statuses.decode_system(await self._ask(service.CONTROL, "GetSystem", control.GetSystemRequest()))

    async def wait(
        self, name: str, *, condition: Condition = "Available", timeout_seconds: float = 30.0
    ) -> ModelStatus | None:
        """Wait until the newest version of a model is Available, is not, or the model is Deleted (then: None).

        A scheduler that is being restarted is waited for, too. Raises `NotFound` when there is no such model,
        `TimedOut` with the model's state and its reason, `Unavailable` when no scheduler answered to the end.
        """
        self._addresses.scheduler()  # nothing running at all is no reason to wait
        away: Unavailable | None = None
        changed = asyncio.Event()
        listener = asyncio.create_task(self._listen(name, changed))
        status: ModelStatus | None = None
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    changed.clear()
                    try:
                        status, away = await self.model(name), None
                    except NotFound:
                        if condition == "Deleted":
                            return None
                        raise
                    except Unavailable as error:
                        away = error
                    if away is None and status is not None and is_met(condition, status):
                        return status
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(RECHECK_SECONDS):
                            await changed.wait()
        except TimeoutError:
            if away is not None:
                raise away from None
            raise TimedOut(unmet(name, condition, timeout_seconds, status)) from None
        finally:
            listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listener

    async def _listen(self, name: str, changed: asyncio.Event) -> None:
        """Tell of each change; where the stream fails, asking again from time to time still works."""
        with contextlib.suppress(ModelyardError):
            async for status in self.watch_models():
                if status.name == name:
                    changed.set()

    # --- calls -----------------------------------------------------------------------------------------------

    def _stub(self, name: str) -> service.Stub:
        if self._channel is None:
            self._channel = grpc_server.channel(self._addresses.scheduler())
        return service.Stub(self._channel, name)

    async def _ask(self, service_name: str, method: str, request: Any) -> Any:
        try:
            return await getattr(self._stub(service_name), method)(request, timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from None

    async def _stream(
        self, service_name: str, method: str, request: Any, *, endless: bool = False
    ) -> AsyncIterator[Any]:
        timeout = None if endless else self._timeout_seconds
        call = getattr(self._stub(service_name), method)(request, timeout=timeout)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from None
        finally:
            call.cancel()

    def _translated(self, error: grpc.aio.AioRpcError) -> ModelyardError:
        peer = f"the scheduler at {self._addresses.scheduler()}"
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimedOut(f"{peer} did not answer within {self._timeout_seconds:g} s")
        return service.from_rpc_error(error, peer)

    async def _close_scheduler(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None
