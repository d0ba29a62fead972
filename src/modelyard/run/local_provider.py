"""Server replicas as processes of this machine: a built-in runtime and an agent each.

The runtime is not a child of its agent: an agent that dies leaves it serving.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from modelyard.domain.names import ReplicaId
from modelyard.kit.errors import ModelyardError, Refused, Unavailable
from modelyard.kit.tasks import TaskSet
from modelyard.run import commands, ports, processes, ready, sockets
from modelyard.run.ports import FixedPorts
from modelyard.run.replica import ReplicaPorts, ReplicaSettings
from modelyard.run.supervisor import PartSpec, Supervised, Supervisor
from modelyard.run.system import Part

READY_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Replica:
    settings: ReplicaSettings
    ports: ReplicaPorts
    bringing_up: "asyncio.Task[None] | None" = None


class LocalProvider:
    """A `provider.Provider`. `leftovers`: what an earlier `up` left running, by part name; adopted where it fits."""

    def __init__(
        self,
        supervisor: Supervisor,
        fixed: FixedPorts,
        *,
        leftovers: Mapping[str, Part],
        on_problem: Callable[[str, str], None],
        secrets: Path | None = None,
    ) -> None:
        self._secrets = secrets
        self._supervisor = supervisor
        self._fixed = fixed
        self._leftovers = dict(leftovers)
        self._on_problem = on_problem
        self.failure: ModelyardError | None = None  # the first thing that could not be done
        self._replicas: dict[ReplicaId, _Replica] = {}
        self._tasks = TaskSet()

    @property
    def _directory(self) -> Path:
        return self._supervisor.directory

    def replicas(self) -> Mapping[ReplicaId, ReplicaSettings]:
        return {replica: it.settings for replica, it in self._replicas.items()}

    async def start(self, replica: ReplicaId, settings: ReplicaSettings) -> None:
        folder = commands.replica_dir(self._directory, replica)
        try:
            for name in ("agent", "repository"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            sockets.prepare(sockets.path(folder))
            taken = self._ports_before(replica) or self._new_ports()
        except OSError as error:
            self._fail(replica, Refused(f"replica {replica} cannot use {folder}: {error.strerror}"))
            return
        except Refused as error:
            self._fail(replica, error)
            return
        self._replicas[replica] = _Replica(settings, taken)
        agent = await self._claim(commands.agent_name(replica), self._agent_argv(replica))
        runtime = await self._claim(commands.runtime_name(replica), self._runtime_argv(replica))
        # Those go on at once; what is missing is brought up in its order.
        if runtime is not None and runtime.process.is_alive():
            self._start_runtime(replica, runtime)
        if agent is not None and agent.process.is_alive():
            self._start_agent(replica, agent)
        self._begin(replica)

    async def change(self, replica: ReplicaId, settings: ReplicaSettings) -> None:
        log.info("replica %s has other settings: its agent starts again, its runtime goes on", replica)
        await self._halt(replica)
        await self._supervisor.end(commands.agent_name(replica))
        self._replicas[replica].settings = settings
        self._begin(replica)

    async def stop(self, replica: ReplicaId) -> None:
        await self._halt(replica)
        await self._supervisor.end(commands.agent_name(replica))
        await self._supervisor.end(commands.runtime_name(replica))
        del self._replicas[replica]
        # It is not wanted any more: neither are its artifacts.
        folder = commands.replica_dir(self._directory, replica)
        sockets.remove(sockets.path(folder))
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def end_leftovers(self) -> None:
        """After the first wishes were acted on: end what nobody claimed."""
        left = [part for part in self._leftovers.values() if part.process.is_alive()]
        self._leftovers.clear()
        for part in left:
            log.info("%s (pid %d) was left running and is not wanted: ending it", part.name, part.pid)
        await asyncio.to_thread(processes.end, [part.process for part in left], patience_seconds=5.0)

    async def cancel(self) -> None:
        """Bring nothing more up; what runs is the supervisor's to end."""
        await self._tasks.cancel()

    def _begin(self, replica: ReplicaId) -> None:
        self._replicas[replica].bringing_up = self._tasks.start(self._bring_up(replica), name=f"bring up {replica}")

    async def _halt(self, replica: ReplicaId) -> None:
        """Stop bringing it up."""
        if (task := self._replicas[replica].bringing_up) is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _bring_up(self, replica: ReplicaId) -> None:
        """The runtime first; its agent once it answers."""
        parts = self._supervisor.parts
        runtime = parts.get(commands.runtime_name(replica)) or self._start_runtime(replica)
        while await self._lost_a_port(replica, runtime):
            await self._supervisor.end(commands.agent_name(replica), commands.runtime_name(replica))
            self._replicas[replica].ports = self._new_ports()
            runtime = self._start_runtime(replica)
        agent = parts.get(commands.agent_name(replica)) or self._start_agent(replica)
        while await self._lost_a_port(replica, agent):
            await self._supervisor.end(commands.agent_name(replica))
            it = self._replicas[replica]
            it.ports = replace(it.ports, debug=self._new_ports().debug)
            agent = self._start_agent(replica)

    async def _lost_a_port(self, replica: ReplicaId, part: Supervised) -> bool:
        """Wait until it is ready. True: it cannot be, as somebody took its port between our look and its use."""
        try:
            await part.wait_ready(READY_SECONDS)
        except Unavailable as error:
            if part.part is None and not all(map(ports.is_free, part.spec.ports.values())):
                log.info("somebody else took a port of %s: it takes others", part.spec.name)
                return True
            self._fail(replica, error)
            await part.ready.wait()  # the supervisor goes on trying
        return False

    def _fail(self, replica: ReplicaId, error: ModelyardError) -> None:
        self.failure = self.failure or error
        log.error("%s", error)
        self._on_problem(replica.server, str(error))

    def _start_runtime(self, replica: ReplicaId, leftover: Part | None = None) -> Supervised:
        taken = self._replicas[replica].ports

        async def answers() -> bool:
            return await ready.http_ok(taken.http, "/v2/health/ready")

        name = commands.runtime_name(replica)
        return self._supervisor.start(PartSpec(name, self._runtime_argv(replica), answers, taken.runtime()), leftover)

    def _start_agent(self, replica: ReplicaId, leftover: Part | None = None) -> Supervised:
        taken = self._replicas[replica].ports

        async def answers() -> bool:
            return await ready.port_open(taken.debug)

        name = commands.agent_name(replica)
        return self._supervisor.start(PartSpec(name, self._agent_argv(replica), answers, taken.agent()), leftover)

    def _runtime_argv(self, replica: ReplicaId) -> tuple[str, ...]:
        return commands.runtime(self._directory, replica, self._replicas[replica].ports)

    def _agent_argv(self, replica: ReplicaId) -> tuple[str, ...]:
        it = self._replicas[replica]
        return commands.agent(self._directory, replica, it.ports, it.settings, self._fixed, self._secrets)

    async def _claim(self, name: str, argv: tuple[str, ...]) -> Part | None:
        """The leftover of that name, if it is just what would be started; another one is ended first."""
        part = self._leftovers.pop(name, None)
        if part is None or part.argv == argv:
            return part
        log.info("%s (pid %d) was left running with other arguments: ending it", name, part.pid)
        await asyncio.to_thread(processes.end, [part.process], patience_seconds=5.0)
        return None

    def _ports_before(self, replica: ReplicaId) -> ReplicaPorts | None:
        """Those of a leftover, so that adoption or a restart keeps them."""
        runtime = self._leftovers.get(commands.runtime_name(replica))
        agent = self._leftovers.get(commands.agent_name(replica))
        if runtime is None or not {"http", "grpc"} <= runtime.ports.keys():
            return None
        debug = agent.ports.get("debug") if agent is not None else None
        taken = self._taken() | set(runtime.ports.values())
        return ReplicaPorts(
            http=runtime.ports["http"],
            grpc=runtime.ports["grpc"],
            debug=debug or ports.take_free(self._fixed.gateway, 1, taken)[0],
        )

    def _new_ports(self) -> ReplicaPorts:
        return ReplicaPorts(*ports.take_free(self._fixed.gateway, 3, self._taken()))

    def _taken(self) -> set[int]:
        own = {port for it in self._replicas.values() for port in it.ports.all().values()}
        return own | {port for part in self._leftovers.values() for port in part.ports.values()}
