"""Server replicas as processes of this machine: an inference server and an agent each.

The server is not a child of its agent: an agent that dies leaves it serving.
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
from modelyard.run import commands, ending, ports, processes, replica_parts, sockets
from modelyard.run.ports import FixedPorts
from modelyard.run.programs import Program, Programs
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
    """A `provider.Provider`. `leftovers`: what an earlier `up` left running, by part name; adopted where it fits.
    `programs`: what inference servers run from; None: of ours only."""

    def __init__(
        self,
        supervisor: Supervisor,
        fixed: FixedPorts,
        *,
        leftovers: Mapping[str, Part],
        on_problem: Callable[[str, str], None],
        secrets: Path | None = None,
        programs: Programs | None = None,
    ) -> None:
        self._secrets = secrets
        self._supervisor = supervisor
        self._fixed = fixed
        self._leftovers = dict(leftovers)
        self._on_problem = on_problem
        self._programs = programs or Programs()
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
        # Those that run go on at once; what is missing is brought up in its order.
        for spec in self._specs(replica, self._programs.found(settings.server_config)):
            leftover = await self._claim(spec)
            if leftover is not None and leftover.process.is_alive():
                self._supervisor.start(spec, leftover)
        if (server := self._leftovers.pop(commands.runtime_name(replica), None)) is not None:
            await self._end(server)  # nobody knows any more what it runs from
        self._begin(replica)

    async def change(self, replica: ReplicaId, settings: ReplicaSettings) -> None:
        log.info("replica %s has other settings: its agent starts again, its runtime goes on", replica)
        await self._halt(replica)
        await self._supervisor.end(commands.agent_name(replica))
        self._replicas[replica].settings = settings
        self._begin(replica)

    async def stop(self, replica: ReplicaId) -> None:
        await self._halt(replica)
        for group in commands.ending_order(part for part in self._supervisor.parts if _belongs(part, replica)):
            await self._supervisor.end(*group)
        del self._replicas[replica]
        ending.clear_replica(self._directory, replica)
        # It is not wanted any more: neither are its artifacts.
        folder = commands.replica_dir(self._directory, replica)
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
        await self._programs.cancel()

    def _begin(self, replica: ReplicaId) -> None:
        self._replicas[replica].bringing_up = self._tasks.start(self._bring_up(replica), name=f"bring up {replica}")

    async def _halt(self, replica: ReplicaId) -> None:
        """Stop bringing it up."""
        if (task := self._replicas[replica].bringing_up) is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _bring_up(self, replica: ReplicaId) -> None:
        """The server first, once it is installed; its agent once it answers. Again, when one of them lost a port."""
        program = await self._programs.ready(self._replicas[replica].settings.server_config, replica.server)
        while (loser := await self._start_all(replica, program)) is not None:
            await self._supervisor.end(loser)
            it = self._replicas[replica]
            it.ports = replica_parts.renewed(it.ports, loser, self._new_ports())

    async def _start_all(self, replica: ReplicaId, program: Program) -> str | None:
        """Start what does not run just so. The name of a part that cannot have its ports; None: all are ready."""
        parts, later = self._supervisor.parts, list[Supervised]()
        for spec in self._specs(replica, program):
            if (part := parts.get(spec.name)) is not None and part.spec.argv != spec.argv:
                await self._supervisor.end(spec.name)
            part = parts.get(spec.name) or self._supervisor.start(spec)
            if spec.name.startswith(replica_parts.WAIT_FOR_AGENT):
                later.append(part)
            elif await self._lost_a_port(replica, part):
                return spec.name
        for part in later:
            if await self._lost_a_port(replica, part):
                return part.spec.name
        return None

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

    def _specs(self, replica: ReplicaId, program: Program | None) -> tuple[PartSpec, ...]:
        it = self._replicas[replica]
        return replica_parts.specs(self._directory, replica, it.ports, it.settings, self._fixed, program, self._secrets)

    async def _claim(self, spec: PartSpec) -> Part | None:
        """The leftover of that name, if it is just what would be started; another one is ended first."""
        part = self._leftovers.pop(spec.name, None)
        if part is None or part.argv == spec.argv:
            return part
        log.info("%s (pid %d) was left running with other arguments: ending it", part.name, part.pid)
        await self._end(part)
        return None

    async def _end(self, part: Part) -> None:
        await asyncio.to_thread(processes.end, [part.process], patience_seconds=5.0)

    def _ports_before(self, replica: ReplicaId) -> ReplicaPorts | None:
        """Those of a leftover, so that adoption or a restart keeps them."""
        runtime = self._leftovers.get(commands.runtime_name(replica))
        if runtime is None or not {"http", "grpc"} <= runtime.ports.keys():
            return None
        found = replace(self._new_ports(), http=runtime.ports["http"], grpc=runtime.ports["grpc"])
        if (door := self._leftovers.get(commands.door_name(replica))) is not None and {
            "http",
            "grpc",
        } <= door.ports.keys():
            found = replace(found, door_http=door.ports["http"], door_grpc=door.ports["grpc"])
        if (agent := self._leftovers.get(commands.agent_name(replica))) is not None and "debug" in agent.ports:
            found = replace(found, debug=agent.ports["debug"])
        return found

    def _new_ports(self) -> ReplicaPorts:
        return ReplicaPorts(*ports.take_free(self._fixed.gateway, 5, self._taken()))

    def _taken(self) -> set[int]:
        own = {port for it in self._replicas.values() for port in it.ports.all().values()}
        return own | {port for part in self._leftovers.values() for port in part.ports.values()}


def _belongs(part: str, replica: ReplicaId) -> bool:
    return commands.replica_of(part) == replica
