"""One agent: its machine, and around it everything that touches the world.

All events go through one mailbox to one task, which owns the machine and performs its effects in order.
"""

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import assert_never

from modelyard.agent import door_files
from modelyard.agent.artifacts import Artifacts
from modelyard.agent.debug import DebugService
from modelyard.agent.door import Door, NoDoor
from modelyard.agent.front_door import FrontDoor
from modelyard.agent.machine import Agent, IllegalEvent
from modelyard.agent.measuring import Measuring
from modelyard.agent.messages import (
    CancelFetch,
    CheckServer,
    Effect,
    Event,
    Fetch,
    Forget,
    Kept,
    Load,
    Restored,
    Save,
    ServerReady,
    Subscribe,
    Tell,
    Unload,
)
from modelyard.agent.model_folders import ModelFolders
from modelyard.agent.offers import OfferWatch
from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.servers import kinds
from modelyard.agent.servers.v2 import V2Server
from modelyard.agent.session import Session
from modelyard.agent.settings import Settings
from modelyard.agent.storage import website
from modelyard.agent.storage.sources import Sources
from modelyard.agent.store import Store
from modelyard.agent.watch import Watch
from modelyard.agent.work import Work
from modelyard.kit import clock
from modelyard.proxy.desired import Endpoint
from modelyard.wire import grpc_server, service

log = logging.getLogger(__name__)

_MAILBOX_SIZE = 10_000


class AgentProcess:
    """`run` until cancelled. Models stay loaded and the state on disk: whoever starts next goes on from there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.agent = Agent(settings.replica, settings.config, shared=settings.shared)
        self.debug_port = 0
        self._mailbox: asyncio.Queue[Event] = asyncio.Queue(_MAILBOX_SIZE)
        self._store = Store(settings.folders.agent)
        self._folders = ModelFolders(settings.folders.repository)
        self._server_seen = asyncio.Event()
        self.door = _door(settings)

    async def run(self) -> None:
        """Raises `Superseded`, `Refused` (the debug port is busy) and OSError (the folders cannot be used)."""
        settings, limits = self.settings, self.settings.limits
        server = kinds.server(settings)
        http = website.client(limits)
        sources = Sources(http, settings.folders.secrets, limits)
        artifacts = Artifacts(settings.folders.agent, sources, limits, numbered=not server.picks_folder)
        door = self.door
        watch = Watch(server, door, self._mailbox.put, complain_after_seconds=limits.server_wait_seconds)
        measuring = Measuring(server, self._mailbox.put)
        offers = OfferWatch(server)
        session = Session(
            settings.scheduler, self.agent, self._mailbox.put, artifacts.progress, offers=lambda: offers.current
        )
        work = Work(artifacts, self._folders, server, door, limits, self._mailbox.put)
        debug, self.debug_port = await grpc_server.start(
            settings.debug_address, {service.AGENT_DEBUG: DebugService(self.agent, door.usage)}
        )
        log.info("agent of %s: debug service on port %d", settings.replica, self.debug_port)
        try:
            await door.start()
            await self._mailbox.put(await self._restore(artifacts, server))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._decide(artifacts, watch, session, work), name="decide")
                group.create_task(watch.run(), name="watch")
                group.create_task(measuring.run(), name="measuring")
                group.create_task(offers.run(), name="offers")
                group.create_task(self._talk(session), name="session")
                group.create_task(door.run(), name="front door")
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await work.stop()
            await door.stop()
            await debug.stop(grace=0.2)
            await server.close()
            await http.aclose()

    async def _restore(self, artifacts: Artifacts, server: V2Server) -> Restored:
        """Read the disk. Blocking is fine: nothing else runs yet."""
        self._folders.open()
        found = self._store.open()
        kept = tuple(_kept(it, artifacts, server) for it in found.kept)
        artifacts.open(
            {it.model_version.id: it.artifact for it in kept if it.artifact is not None},
            [it.model_version.id for it in kept if it.artifact is None],
        )
        ours = {it.model_version.id for it in kept}
        strays = tuple(version for version in self._folders.found() if version not in ours)
        if kept or strays:
            log.info("found on disk: %d assigned versions, %d folders that nobody assigned", len(kept), len(strays))
        return Restored(kept, strays, found.damaged or (found.fresh and bool(strays)))

    async def _talk(self, session: Session) -> None:
        """A replica whose server was never ready has nothing to offer yet."""
        await self._server_seen.wait()
        await session.run()

    async def _decide(self, artifacts: Artifacts, watch: Watch, session: Session, work: Work) -> None:
        while True:
            event = await self._mailbox.get()
            log.debug("%s", event)
            try:
                effects = self.agent.handle([event], clock.now())
            except IllegalEvent:
                log.exception("a bug: this event could not have happened")
                continue
            for effect in effects:
                await self._perform(effect, artifacts, watch, session, work)
            if isinstance(event, ServerReady):
                self._server_seen.set()

    async def _perform(self, effect: Effect, artifacts: Artifacts, watch: Watch, session: Session, work: Work) -> None:
        match effect:
            case Subscribe(id_, subscription):
                session.start(id_, subscription)
            case Tell(id_, event):
                log.info("%s %s%s", event.kind.name, event.version or "", f": {event.message}" if event.message else "")
                session.send(id_, event)
            case Save(model_version, artifact, measured_bytes):
                await self._save(Kept(model_version, artifact, measured_bytes))
            case Forget(version):
                try:
                    await asyncio.to_thread(self._folders.remove, version)
                    await artifacts.release(version)
                    await asyncio.to_thread(self._store.forget, version)
                except OSError as error:
                    log.error("cannot remove %s from the disk: %s", version, error)
            case Fetch():
                work.fetch(effect)
            case CancelFetch(version):
                work.cancel_fetch(version)
            case Load():
                work.load(effect)
            case Unload():
                work.unload(effect)
            case CheckServer():
                watch.look_now()
            case _:
                assert_never(effect)

    async def _save(self, kept: Kept) -> None:
        try:
            await asyncio.to_thread(self._store.save, kept)
        except OSError as error:
            log.error("cannot save %s: after a restart of the agent it will be loaded anew: %s",
                      kept.model_version.id, error)  # fmt: skip


def _kept(it: Kept, artifacts: Artifacts, server: V2Server) -> Kept:
    if not it.artifact or not artifacts.have(it.artifact):
        return replace(it, artifact=None)
    copies: int | None = None
    with contextlib.suppress(ArtifactProblem, OSError):  # said when it is loaded
        copies = server.copies(it.model_version, artifacts.path(it.artifact))
    return replace(it, copies=copies)


def _door(settings: Settings) -> Door:
    if settings.upstream is None:
        return NoDoor()
    where, config = door_files.sockets(settings.folders.agent), settings.config
    own = Endpoint(config.host, config.http_port, config.grpc_port)
    return FrontDoor(where, own, settings.upstream, finish_seconds=settings.limits.finish_seconds)
