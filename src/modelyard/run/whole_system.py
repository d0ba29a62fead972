"""One whole system under one supervisor: scheduler, gateway, and the replicas that the local provider runs."""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

import grpc.aio

import modelyard
from modelyard.domain.server import ServerManifest
from modelyard.domain.server_configs import MODELYARD
from modelyard.kit.errors import Unavailable
from modelyard.kit.tasks import TaskSet
from modelyard.proxy.envoy import process as envoy
from modelyard.run import commands, ending, first_server, overview, ports, processes, ready, system, wanted
from modelyard.run.local_provider import LocalProvider
from modelyard.run.options import UpOptions
from modelyard.run.ports import HOST
from modelyard.run.programs import Programs
from modelyard.run.provider import ServerWatch
from modelyard.run.supervisor import PartSpec, Supervisor
from modelyard.run.system import Part, System
from modelyard.runtime.formats import extras
from modelyard.wire import control, grpc_server, service

READY_SECONDS = 60.0
POLL_SECONDS = 0.1
LOG_CHECK_SECONDS = 30.0

log = logging.getLogger(__name__)


class WholeSystem:
    """`start`, `wait_ready`, and in any case `end`. The caller holds the lock of the state directory."""

    def __init__(self, options: UpOptions) -> None:
        self._options = options
        self._ports = ports.fixed_ports(options.port_base)
        self._directory = options.state_dir
        self._supervisor = Supervisor(self._directory, self._write)
        me = processes.identify(os.getpid())
        assert me is not None
        self._me = me
        self._tasks = TaskSet()
        self._ready = False
        before = system.read(self._directory)
        self._before: dict[str, Part] = {part.name: part for part in before.parts} if before else {}
        self._adoptable = before is not None and before.version == modelyard.__version__
        self._watch: ServerWatch | None = None
        self._provider: LocalProvider | None = None
        self._programs = Programs(options.programs)

    @property
    def gateway(self) -> str:
        return f"{HOST}:{self._ports.gateway}"

    @property
    def scheduler(self) -> str:
        return f"{HOST}:{self._ports.scheduler}"

    @property
    def wanted(self) -> tuple[ServerManifest, ...]:
        return self._watch.wanted if self._watch else ()

    def running(self) -> tuple[Part, ...]:
        return self._supervisor.running()

    async def start(self) -> None:
        """Raises a `ModelyardError` when a port is busy, Envoy is missing, or the scheduler does not come up."""
        envoy.binary()
        await self._programs.check()
        specs = self._fixed_parts()
        leftovers = await self._claim(specs)
        self._check_ports(leftovers)
        scheduler, gateway = specs
        self._write()
        begun = self._supervisor.start(scheduler, leftovers.get(scheduler.name))
        # Envoy would wait longer after a refused connection than the scheduler takes to listen.
        await begun.wait_ready(READY_SECONDS)
        self._supervisor.start(gateway, leftovers.get(gateway.name))
        await self._apply_first_server()
        self._provide()
        self._tasks.start(self._bound_logs(), name="bound logs")

    def _fixed_parts(self) -> tuple[PartSpec, PartSpec]:
        fixed = self._ports

        async def scheduler_answers() -> bool:
            return await ready.scheduler_answers(self.scheduler)

        async def gateway_listens() -> bool:
            return await ready.port_open(fixed.gateway)

        return (
            PartSpec(
                commands.SCHEDULER,
                commands.scheduler(self._directory, fixed),
                scheduler_answers,
                {"api": fixed.scheduler, "agents": fixed.agents, "xds": fixed.xds},
                tries=1,
            ),
            PartSpec(
                commands.GATEWAY,
                commands.gateway(self._directory, fixed),
                gateway_listens,
                {"http": fixed.gateway},
                tries=1,
            ),
        )

    async def _claim(self, specs: tuple[PartSpec, ...]) -> Mapping[str, Part]:
        """Of what a killed `up` left running: end what cannot go on as it is, return what is adopted."""
        alive = {name: part for name, part in self._before.items() if part.process.is_alive()}
        argvs = {spec.name: spec.argv for spec in specs}
        unfit = [
            part for name, part in alive.items() if not self._adoptable or (name in argvs and part.argv != argvs[name])
        ]
        for part in unfit:
            log.info("%s (pid %d) was left running by another `modelyard up`: ending it", part.name, part.pid)
        await asyncio.to_thread(processes.end, [part.process for part in unfit], patience_seconds=5.0)
        if not alive:
            ending.clear(self._directory)
        return {spec.name: alive[spec.name] for spec in specs if spec.name in alive and alive[spec.name] not in unfit}

    def _check_ports(self, leftovers: Mapping[str, Part]) -> None:
        if commands.GATEWAY not in leftovers:
            ports.require_free(self._ports.gateway, "gateway")
        if commands.SCHEDULER not in leftovers:
            ports.require_free(self._ports.xds, "scheduler (xDS)")
            ports.require_free(self._ports.scheduler, "scheduler (API)")
            ports.require_free(self._ports.agents, "scheduler (agent service)")

    async def _apply_first_server(self) -> None:
        async with grpc_server.channel(self.scheduler) as channel:
            now = await overview.look(channel)
            if now is None:
                raise Unavailable(f"the scheduler at {self.scheduler} stopped answering while starting")
            journaled = [it.manifest for it in now.servers if it.manifest is not None]
            manifest = first_server.first_server(self._options.server, journaled)
            if manifest is None:
                return
            stub = service.Stub(channel, service.CONTROL)
            request = control.ApplyServerRequest(server=control.encode_server_manifest(manifest))
            try:
                await stub.ApplyServer(request, timeout=ready.SECONDS)
            except grpc.aio.AioRpcError as error:
                raise service.from_rpc_error(error, f"the scheduler at {self.scheduler}") from error

    def _provide(self) -> None:
        name = f"modelyard up on {socket.gethostname()} (pid {os.getpid()})"
        problems: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def tell(server: str, text: str) -> None:
            problems.put_nowait((server, text))

        self._programs.tell = tell
        provider = LocalProvider(
            self._supervisor,
            self._ports,
            leftovers={name: part for name, part in self._before.items() if commands.replica_of(name)},
            on_problem=tell,
            secrets=self._options.secrets,
            programs=self._programs,
        )
        agents = f"{HOST}:{self._ports.agents}"
        watch = ServerWatch(
            provider,
            scheduler=self.scheduler,
            agents=agents,
            name=name,
            problems=problems,
            offers={
                MODELYARD: (*wanted.BUILT_IN_CAPABILITIES, *extras.installed()),  # replicas run on this very Python
                **self._programs.capabilities,
            },
            delayed=lambda config: self._programs.found(config) is None,
        )
        self._watch, self._provider = watch, provider
        self._tasks.start(watch.run(), name="watch servers")
        self._tasks.start(self._end_leftovers(watch, provider), name="end leftovers")

    async def _end_leftovers(self, watch: ServerWatch, provider: LocalProvider) -> None:
        await watch.synced.wait()
        await provider.end_leftovers()

    async def wait_ready(self) -> None:
        """Until the first request could be answered. Raises `Unavailable` with what is missing and why."""
        assert self._watch is not None
        watch = self._watch
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_SECONDS
        await self._supervisor.parts[commands.GATEWAY].wait_ready(READY_SECONDS)
        async with grpc_server.channel(self.scheduler) as channel:
            while True:
                now = await overview.look(channel)
                # One that is being installed may take minutes, or for ever; it says so by itself.
                awaited = [it for it in watch.wanted if it.name not in self._programs.waiting]
                missing = "the scheduler does not answer" if now is None else overview.missing(now, awaited)
                if not watch.synced.is_set():
                    missing = "the scheduler has not said which servers it wants"
                if missing is None:
                    break
                self._raise_failure()
                if loop.time() > deadline:
                    raise Unavailable(f"not ready after {READY_SECONDS:.0f} s: {missing}; see {self._directory}/logs")
                await asyncio.sleep(POLL_SECONDS)
        self._ready = True
        self._write()

    def _raise_failure(self) -> None:
        if self._provider is not None and self._provider.failure is not None:
            raise self._provider.failure
        for supervised in self._supervisor.parts.values():
            if supervised.failed.done():
                raise supervised.failed.result()

    async def end(self) -> None:
        """In order: who asks others ends before those it asks. Nothing is left but what is to survive."""
        if self._provider is not None:
            await self._provider.cancel()
        await self._tasks.cancel()
        for group in commands.ending_order(self._supervisor.parts):
            await self._supervisor.end(*group)
        await asyncio.to_thread(ending.end_parts, tuple(self._before.values()))
        ending.forget(self._directory)

    def kill(self) -> None:
        self._supervisor.kill_all()

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_SECONDS)
            await asyncio.to_thread(self._supervisor.bound_logs)

    def _write(self) -> None:
        try:
            system.write(self._now())
        except OSError as error:  # a full disk must not take the system down
            log.error("cannot write %s/%s: %s", self._directory, system.SYSTEM_FILE, error.strerror)

    def _now(self) -> System:
        running = self._supervisor.running()
        names = {part.name for part in running}
        # What was left running and is not claimed yet stays known, lest it be lost if we are killed now.
        kept = tuple(part for name, part in self._before.items() if name not in names and part.process.is_alive())
        return System(
            version=modelyard.__version__,
            pid=self._me.pid,
            create_time=self._me.create_time,
            state_dir=str(self._directory),
            port_base=self._options.port_base,
            gateway=self.gateway,
            scheduler=self.scheduler,
            agents=f"{HOST}:{self._ports.agents}",
            xds=f"{HOST}:{self._ports.xds}",
            ready=self._ready,
            parts=(*running, *kept),
        )
