"""What survives a crash: one SQLite file, written before anything is acknowledged.

One connection, used from one thread at a time. WAL with synchronous=FULL: a commit that returned is on the disk.
A file that SQLite finds corrupt is set aside, never repaired in place and never deleted.
"""

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TextIO, assert_never

from modelyard.domain.agent_protocol import ModelVersion
from modelyard.domain.model import Replicas
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import NO_OFFERS, Offers, ReplicaConfig, ServerManifest, ServerNotice
from modelyard.domain.status import Note
from modelyard.kit.errors import Refused
from modelyard.scheduler.journal_schema import SCHEMA_STEPS, SCHEMA_VERSION
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
from modelyard.wire import models as wire_models

LARGEST_INTEGER = 2**63 - 1  # of SQLite; peers may call their memory unlimited


class Journal:
    """`fresh`: nothing is known. `lost`: because what was there could not be read; `warnings` tell the user."""

    def __init__(self, path: Path, *, events_kept: int = 200) -> None:
        """Raises `Refused` where the file is of a newer Modelyard, or cannot be used at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(path)
        try:
            self._open(path, events_kept)
        except BaseException:
            self._lock.close()
            raise

    def _open(self, path: Path, events_kept: int) -> None:
        self.warnings: list[str] = []
        self.fresh = not path.exists() or path.stat().st_size == 0
        self.lost = False
        self._events_kept = events_kept
        try:
            self._db = _opened(path)
        except sqlite3.OperationalError as error:  # not its contents: locked, read-only, no room, no right to it
            raise Refused(
                f"cannot use the journal {path}: {error}. Is another scheduler running on this state directory, "
                "and is there room on its disk?"
            ) from error
        except sqlite3.DatabaseError as error:
            aside = _set_aside(path)
            self.warnings.append(
                f"the journal was corrupt ({error}) and is kept as {aside}; models are adopted from what agents hold: "
                "models that were loaded nowhere, their replica counts, and server manifests may be lost"
            )
            self.fresh = self.lost = True
            self._db = _opened(path)
        self._next_event = 1 + (self._db.execute("SELECT max(sequence) FROM events").fetchone()[0] or 0)

    def close(self) -> None:
        self._db.close()
        self._lock.close()

    def read(self) -> Journaled:
        """Everything, as of the last commit."""
        db = self._db
        return Journaled(
            models=tuple(
                PutModel(name, latest, bool(deleting)) for name, latest, deleting in db.execute("SELECT * FROM models")
            ),
            tombstones=dict(db.execute("SELECT name, latest FROM tombstones").fetchall()),
            versions=tuple(
                PutVersion(ModelVersion(wire_models.parse_model(blob, Replicas(*counts)), version), bool(took_over))
                for _, version, blob, *counts, took_over in db.execute("SELECT * FROM versions")
            ),
            assignments=tuple(
                PutAssignment(VersionId(name, version), ReplicaId(server, index), bool(loaded), bool(leaving))
                for name, version, server, index, loaded, leaving in db.execute("SELECT * FROM assignments")
            ),
            replicas=tuple(_replica(row) for row in db.execute("SELECT * FROM replicas")),
            servers=tuple(
                PutServer(name, _notice(notice), _manifest(manifest))
                for name, notice, manifest in db.execute("SELECT * FROM servers")
            ),
            sizes=tuple(PutSize(*row) for row in db.execute("SELECT artifact, bytes FROM sizes ORDER BY sequence")),
        )

    def write(self, writes: Iterable[Write], notes: Iterable[Note]) -> None:
        """One transaction; on return it is durable. Raises `sqlite3.Error`, and then nothing was written."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for it in writes:
                self._write(it)
            self._write_notes(notes)

    def _write(self, it: Write) -> None:
        db = self._db
        match it:
            case PutModel(name, latest, deleting):
                db.execute("REPLACE INTO models VALUES (?, ?, ?)", (name, latest, deleting))
                db.execute("DELETE FROM tombstones WHERE name = ?", (name,))
            case DropModel(name, latest):
                db.execute("DELETE FROM models WHERE name = ?", (name,))
                db.execute("DELETE FROM versions WHERE name = ?", (name,))
                db.execute("DELETE FROM assignments WHERE name = ?", (name,))
                db.execute("REPLACE INTO tombstones VALUES (?, ?)", (name, latest))
            case PutVersion(version, took_over):
                counts = version.model.replicas
                blob = wire_models.serialize_model(version.model)
                row = (version.model.name, version.version, blob, *asdict(counts).values(), took_over)
                db.execute("REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            case DropVersion(id):
                db.execute("DELETE FROM versions WHERE name = ? AND version = ?", (id.model, id.version))
                db.execute("DELETE FROM assignments WHERE name = ? AND version = ?", (id.model, id.version))
            case PutAssignment(id, replica, loaded, leaving):
                row = (id.model, id.version, replica.server, replica.index, loaded, leaving)
                db.execute("REPLACE INTO assignments VALUES (?, ?, ?, ?, ?, ?)", row)
            case DropAssignment(id, replica):
                key = (id.model, id.version, replica.server, replica.index)
                where = "name = ? AND version = ? AND server = ? AND replica = ?"
                db.execute(f"DELETE FROM assignments WHERE {where}", key)
            case PutReplica(replica, config, shared):
                memory = min(config.memory_bytes, LARGEST_INTEGER)
                row = (
                    *(replica.server, replica.index, config.host, config.http_port, config.grpc_port),
                    *(memory, config.overcommit_percent, json.dumps(sorted(config.capabilities)), shared),
                    "" if config.offers == NO_OFFERS else json.dumps(asdict(config.offers)),
                )
                db.execute("REPLACE INTO replicas VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            case DropReplica(replica):
                db.execute("DELETE FROM replicas WHERE server = ? AND replica = ?", (replica.server, replica.index))
                db.execute("DELETE FROM assignments WHERE server = ? AND replica = ?", (replica.server, replica.index))
            case PutServer(name, notice, manifest):
                row = (name, _json(notice), _json(manifest))
                db.execute("REPLACE INTO servers VALUES (?, ?, ?)", row)
            case DropServer(name):
                db.execute("DELETE FROM servers WHERE name = ?", (name,))
            case PutSize(artifact, measured_bytes):
                row = (artifact, min(measured_bytes, LARGEST_INTEGER))
                db.execute("REPLACE INTO sizes (artifact, bytes) VALUES (?, ?)", row)
            case DropSize(artifact):
                db.execute("DELETE FROM sizes WHERE artifact = ?", (artifact,))
            case _:
                assert_never(it)

    # -- the event history

    def _write_notes(self, notes: Iterable[Note]) -> None:
        subjects: set[str] = set()
        for note in notes:
            row = (self._next_event, note.time, note.subject, note.text, note.cause)
            self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", row)
            self._next_event += 1
            subjects.add(note.subject)
        for subject in subjects:
            self._db.execute(
                "DELETE FROM events WHERE subject = ?1 AND sequence <= (SELECT sequence FROM events "
                "WHERE subject = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)",
                (subject, self._events_kept),
            )

    def events(self, subject: str = "", limit: int = 0) -> tuple[Note, ...]:
        """The newest ones, oldest first; of all subjects where none is named."""
        where, key = ("WHERE subject = ?", (subject,)) if subject else ("", ())
        rows = self._db.execute(
            f"SELECT time, subject, text, cause, sequence FROM events {where} ORDER BY sequence DESC LIMIT ?",
            (*key, limit or -1),
        ).fetchall()
        return tuple(Note(*row) for row in reversed(rows))

    # -- gateways, which count for a lease after a restart

    def gateways(self) -> tuple[str, ...]:
        row = self._db.execute("SELECT value FROM meta WHERE key = 'gateways'").fetchone()
        return tuple(json.loads(row[0])) if row else ()

    def put_gateways(self, ids: Iterable[str]) -> None:
        with self._db:
            self._db.execute("REPLACE INTO meta VALUES ('gateways', ?)", (json.dumps(sorted(ids)),))


def _locked(path: Path) -> TextIO:
    """Two schedulers would each write what the other does not know. The lock ends with the process, however it ends."""
    lock = path.with_name(f"{path.name}.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Refused(
            f"another scheduler is running on {path.parent}: stop it, or use another state directory"
        ) from error
    return lock


def _for_its_owner(path: Path) -> None:
    """Manifests may hold credentials. SQLite gives the files that it makes beside this one the same rights."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError:
        pass  # SQLite says it better


def _opened(path: Path) -> sqlite3.Connection:
    _for_its_owner(path)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        found = db.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise Refused(
                f"the journal {path} was written by a newer Modelyard (format {version}, this one knows "
                f"{SCHEMA_VERSION}): install that version again, or use another state directory"
            )
        if version < SCHEMA_VERSION:
            steps = " ".join(SCHEMA_STEPS[version:])
            db.executescript(f"BEGIN; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        db.execute("SELECT count(*) FROM models").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside


def _replica(row: tuple[str, int, str, int, int, int, int, str, int, str]) -> PutReplica:
    server, index, host, http_port, grpc_port, memory, overcommit, capabilities, shared, told = row
    offers = Offers(**json.loads(told)) if told else NO_OFFERS
    config = ReplicaConfig(host, http_port, grpc_port, memory, frozenset(json.loads(capabilities)), overcommit, offers)
    return PutReplica(ReplicaId(server, index), config, bool(shared))


def _json(it: ServerNotice | ServerManifest | None) -> str | None:
    return None if it is None else json.dumps(asdict(it))


def _notice(text: str | None) -> ServerNotice | None:
    return None if text is None else ServerNotice(**json.loads(text))


def _manifest(text: str | None) -> ServerManifest | None:
    if text is None:
        return None
    fields = json.loads(text)
    fields["replicas"] = Replicas(**fields["replicas"])
    for name in ("capabilities", "extra_capabilities"):
        fields[name] = tuple(fields[name])
    return ServerManifest(**fields)
