"""The tables of the journal, step by step: each step brings a file of the format before it to the next one.

What is written is never changed, only added to; a new file goes through all of them.
"""

_FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE models (
    name TEXT PRIMARY KEY, latest INTEGER NOT NULL, deleting INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstones (name TEXT PRIMARY KEY, latest INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE versions (
    name TEXT NOT NULL, version INTEGER NOT NULL, model BLOB NOT NULL,
    replicas INTEGER NOT NULL, minimum INTEGER, maximum INTEGER, took_over INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE assignments (
    name TEXT NOT NULL, version INTEGER NOT NULL, server TEXT NOT NULL, replica INTEGER NOT NULL,
    loaded INTEGER NOT NULL, leaving INTEGER NOT NULL,
    PRIMARY KEY (name, version, server, replica)
) STRICT, WITHOUT ROWID;
CREATE TABLE replicas (
    server TEXT NOT NULL, replica INTEGER NOT NULL, host TEXT NOT NULL,
    http_port INTEGER NOT NULL, grpc_port INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,
    overcommit_percent INTEGER NOT NULL, capabilities TEXT NOT NULL, shared INTEGER NOT NULL,
    PRIMARY KEY (server, replica)
) STRICT, WITHOUT ROWID;
CREATE TABLE servers (name TEXT PRIMARY KEY, notice TEXT, manifest TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY, time REAL NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, cause TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_subject ON events (subject, sequence);
"""

_MEASURED_SIZES = """
CREATE TABLE sizes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, artifact TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL
) STRICT;
"""

# JSON; empty: the replica offers nothing beside its ports.
_OFFERS = "ALTER TABLE replicas ADD COLUMN offers TEXT NOT NULL DEFAULT '';"

SCHEMA_STEPS = (_FIRST, _MEASURED_SIZES, _OFFERS)
SCHEMA_VERSION = len(SCHEMA_STEPS)
