"""A journal that survives the scheduler, without a disk: what was written before the crash, and nothing else."""

from collections.abc import Iterable
from typing import assert_never

from modelyard.domain.names import ReplicaId, VersionId
from modelyard.scheduler.messages import (
    DropAssignment,
    DropModel,
    DropReplica,
    DropServer,
    DropSize,
    DropVersion,
    Journaled,
    PutAssignment,
    PutModel,
    PutReplica,
    PutServer,
    PutSize,
    PutVersion,
    Write,
)


class Disk:
    def __init__(self) -> None:
        self._models: dict[str, PutModel] = {}
        self._tombstones: dict[str, int] = {}
        self._versions: dict[VersionId, PutVersion] = {}
        self._assignments: dict[tuple[VersionId, ReplicaId], PutAssignment] = {}
        self._replicas: dict[ReplicaId, PutReplica] = {}
        self._servers: dict[str, PutServer] = {}
        self._sizes: dict[str, PutSize] = {}
        self.gateways: frozenset[str] = frozenset()

    def read(self) -> Journaled:
        return Journaled(
            tuple(self._models.values()),
            dict(self._tombstones),
            tuple(self._versions.values()),
            tuple(self._assignments.values()),
            tuple(self._replicas.values()),
            tuple(self._servers.values()),
            tuple(self._sizes.values()),
        )

    def write(self, writes: Iterable[Write]) -> None:
        for it in writes:
            self._write(it)

    def _write(self, it: Write) -> None:
        match it:
            case PutModel(name):
                self._models[name] = it
                self._tombstones.pop(name, None)
            case DropModel(name, latest):
                self._models.pop(name, None)
                self._tombstones[name] = latest
                self._versions = {id: v for id, v in self._versions.items() if id.model != name}
                self._assignments = {key: a for key, a in self._assignments.items() if key[0].model != name}
            case PutVersion(version):
                self._versions[version.id] = it
            case DropVersion(id):
                self._versions.pop(id, None)
                self._assignments = {key: a for key, a in self._assignments.items() if key[0] != id}
            case PutAssignment(id, replica):
                self._assignments[id, replica] = it
            case DropAssignment(id, replica):
                self._assignments.pop((id, replica), None)
            case PutReplica(replica):
                self._replicas[replica] = it
            case DropReplica(replica):
                self._replicas.pop(replica, None)
                self._assignments = {key: a for key, a in self._assignments.items() if key[1] != replica}
            case PutServer(name):
                self._servers[name] = it
            case DropServer(name):
                self._servers.pop(name, None)
            case PutSize(artifact):
                self._sizes.pop(artifact, None)
                self._sizes[artifact] = it
            case DropSize(artifact):
                self._sizes.pop(artifact, None)
            case _:
                assert_never(it)
