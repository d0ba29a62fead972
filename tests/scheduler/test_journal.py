"""The journal on a real disk: everything comes back, whatever the process died of."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.domain.agent_protocol import ModelVersion
from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import Offers, ReplicaConfig, ServerManifest, ServerNotice
from modelyard.domain.status import Note
from modelyard.kit.errors import Refused
from modelyard.scheduler.journal import Journal
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
from modelyard.simulation.disk import Disk

LOCAL = ReplicaId("local", 0)
IRIS = VersionId("iris", 1)
MODEL = Model(
    "iris",
    ModelSpec(Artifact("s3://b/m", 3, b"\n\x03key"), frozenset({"sklearn"}), 2**63, "local", (("a", "b"),)),
    Replicas(2, 0, 5),
    "namespace",
    7,
)
OFFERS = Offers(grpc_over_http1=True, unix_socket="/run/a b.sock", machine="m")
CONFIG = ReplicaConfig("10.0.0.1", 8000, 9000, 1 << 40, frozenset({"sklearn", "two words", ""}), 20, OFFERS)
NOTICE = ServerNotice("local", 2, 1, None, False, "namespace", 9)
MANIFEST = ServerManifest("local", Replicas(2, 1, 3), "mlserver", ("a",), ("b", "c"), 1 << 30, 10, '{"podSpec": {}}')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scheduler" / "journal.db"


def written(path: Path, *writes: Write) -> Journaled:
    """After a restart."""
    journal = Journal(path)
    journal.write(writes, ())
    journal.close()
    return read(path)


def read(path: Path) -> Journaled:
    journal = Journal(path)
    try:
        return journal.read()
    finally:
        journal.close()


def note(number: int, subject: str = "model/iris") -> Note:
    return Note(1000.0 + number, subject, f"text {number}", f"cause {number}")


PUTS: tuple[Write, ...] = (
    PutModel("iris", 1, False),
    PutVersion(ModelVersion(MODEL, 1), True),
    PutAssignment(IRIS, LOCAL, True, False),
    PutReplica(LOCAL, CONFIG, False),
    PutServer("local", NOTICE, MANIFEST),
    PutSize("0af", 12 << 20),
)


def test_everything_comes_back_as_it_was_written(path: Path) -> None:
    assert written(path, *PUTS) == Journaled(
        models=(PutModel("iris", 1, False),),
        versions=(PutVersion(ModelVersion(MODEL, 1), True),),
        assignments=(PutAssignment(IRIS, LOCAL, True, False),),
        replicas=(PutReplica(LOCAL, CONFIG, False),),
        servers=(PutServer("local", NOTICE, MANIFEST),),
        sizes=(PutSize("0af", 12 << 20),),
    )


@pytest.mark.parametrize(
    "again",
    [
        PutModel("iris", 2, True),
        PutVersion(ModelVersion(Model("iris", ModelSpec(Artifact("u")), Replicas(1)), 1), False),
        PutAssignment(IRIS, LOCAL, False, True),
        PutReplica(LOCAL, ReplicaConfig("h", 1, 2, 3), True),
        PutServer("local", None, None),
        PutSize("0af", 7),
    ],
    ids=lambda it: type(it).__name__,
)
def test_the_last_word_counts(path: Path, again: Write) -> None:
    it = written(path, *PUTS, again)
    kinds = (it.models, it.versions, it.assignments, it.replicas, it.servers, it.sizes)
    assert again in [each for kind in kinds for each in kind]
    assert [len(kind) for kind in kinds] == [1] * 6


def test_what_is_dropped_is_gone(path: Path) -> None:
    drops = (DropAssignment(IRIS, LOCAL), DropReplica(LOCAL), DropServer("local"), DropVersion(IRIS), DropSize("0af"))
    assert written(path, *PUTS, *drops) == Journaled(models=(PutModel("iris", 1, False),))


def test_a_dropped_version_or_replica_takes_its_assignments_along(path: Path) -> None:
    assert written(path, *PUTS, DropVersion(IRIS)).assignments == ()
    assert written(path, *PUTS, DropReplica(LOCAL)).assignments == ()


def test_a_deleted_model_leaves_its_last_version_number(path: Path) -> None:
    it = written(path, *PUTS, DropModel("iris", 4))
    assert (it.models, it.versions, it.assignments, dict(it.tombstones)) == ((), (), (), {"iris": 4})


def test_a_model_that_is_created_again_has_no_tombstone(path: Path) -> None:
    it = written(path, DropModel("iris", 4), PutModel("iris", 5, False))
    assert (it.models, dict(it.tombstones)) == ((PutModel("iris", 5, False),), {})


def test_memory_that_a_peer_calls_unlimited_is_as_much_as_can_be_written(path: Path) -> None:
    it = written(path, PutReplica(LOCAL, ReplicaConfig("h", 1, 2, 2**64 - 1), True))
    assert it.replicas[0].config.memory_bytes == 2**63 - 1


NAMES = st.sampled_from(["iris", "wine"])
IDS = st.builds(VersionId, NAMES, st.integers(1, 2))
REPLICAS = st.builds(ReplicaId, st.just("local"), st.integers(0, 1))
WRITES = st.one_of(
    st.builds(PutModel, NAMES, st.integers(1, 9), st.booleans()),
    st.builds(DropModel, NAMES, st.integers(1, 9)),
    st.builds(
        PutVersion,
        st.builds(ModelVersion, st.builds(Model, NAMES, st.just(ModelSpec(Artifact("u")))), st.integers(1, 2)),
        st.booleans(),
    ),
    st.builds(DropVersion, IDS),
    st.builds(PutAssignment, IDS, REPLICAS, st.booleans(), st.booleans()),
    st.builds(DropAssignment, IDS, REPLICAS),
    st.builds(DropReplica, REPLICAS),
    st.builds(PutSize, st.sampled_from("abc"), st.integers(0, 2**63 - 1)),
    st.builds(DropSize, st.sampled_from("abc")),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(WRITES, max_size=6), max_size=4))
def test_any_sequence_of_writes_comes_to_the_same_as_on_the_simulators_disk(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Write]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    disk = Disk()
    journal = Journal(path)
    for batch in batches:
        journal.write(batch, ())
        disk.write(batch)
    journal.close()
    got, expected = read(path), disk.read()
    assert set(got.models) == set(expected.models)
    assert got.tombstones == expected.tombstones
    assert {it.version.id: it for it in got.versions} == {it.version.id: it for it in expected.versions}
    assert set(got.assignments) == set(expected.assignments)
    assert got.sizes == expected.sizes


# -- failures


def test_a_write_that_fails_leaves_nothing_behind(path: Path) -> None:
    journal = Journal(path)
    journal.write(PUTS, (note(1),))
    (full,) = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count = {full}")
    many = [PutModel(f"m{n}", 1, False) for n in range(5000)]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        journal.write(many, (note(2),))
    assert len(journal.read().models) == 1
    assert [it.text for it in journal.events()] == ["text 1"]
    journal._db.execute("PRAGMA max_page_count = 100000")
    journal.write(many, (note(2),))
    assert len(journal.read().models) == 5001
    journal.close()


WRITER = """
import sys
from pathlib import Path
from modelyard.scheduler.journal import Journal
from modelyard.scheduler.messages import PutModel
journal = Journal(Path(sys.argv[1]))
first = max(0, len(journal.read().models) - 1)
print("ready", flush=True)
for n in range(first, 100_000):
    journal.write([PutModel(f"m{n}", 1, False), PutModel("last", n, False)], ())
    print(n, flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(path: Path) -> None:
    chance = random.Random(20)
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process, process.stdout:
            assert process.stdout.readline() == "ready\n"
            said = process.stdout.readline()
            time.sleep(chance.random() / 4)  # how far it gets does not matter
            os.kill(process.pid, signal.SIGKILL)
            for line in process.stdout:
                said = line if line.endswith("\n") else said
        acknowledged = int(said)
        there = {it.name: it.latest for it in read(path).models}
        assert acknowledged <= there["last"] <= acknowledged + 1
        assert {f"m{n}" for n in range(acknowledged + 1)} <= there.keys()
        assert f"m{there['last']}" in there, "a transaction was torn"


def test_a_truncated_write_ahead_log_loses_its_torn_end_only(path: Path) -> None:
    journal = Journal(path)
    for n in range(20):
        journal.write([PutModel(f"m{n}", 1, False)], ())
    wal = path.with_name("journal.db-wal")
    copy = path.parent.parent / "copy" / "journal.db"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    copy.with_name("journal.db-wal").write_bytes(wal.read_bytes()[:-100])
    journal.close()
    again = Journal(copy)
    assert {f"m{n}" for n in range(19)} <= {it.name for it in again.read().models}
    assert (again.warnings, again.lost, again.fresh) == ([], False, False)
    again.close()


def damaged(path: Path) -> None:
    journal = Journal(path)
    journal.write([*PUTS, *(PutModel(f"m{n}", 1, False) for n in range(2000))], ())
    journal.close()
    data = bytearray(path.read_bytes())
    data[5000:9000] = os.urandom(4000)
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["damaged", "not a database"])
def test_a_corrupt_file_is_kept_aside_with_a_warning(path: Path, how: str) -> None:
    if how == "damaged":
        damaged(path)
    else:
        path.parent.mkdir()
        path.write_bytes(b"this is no database" * 100)
    before = path.read_bytes()
    journal = Journal(path)
    assert (journal.fresh, journal.lost, journal.read()) == (True, True, Journaled())
    aside = next(iter(path.parent.glob("journal.db.corrupt-*")))
    assert aside.read_bytes() == before
    assert str(aside) in journal.warnings[0]
    assert "may be lost" in journal.warnings[0]
    journal.write(PUTS, ())
    journal.close()
    assert len(read(path).models) == 1


@pytest.fixture
def locked(path: Path) -> Iterator[Path]:
    Journal(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("INSERT INTO meta VALUES ('x', 'y')")
    other.execute("COMMIT")
    yield path
    other.close()


def test_a_file_that_another_process_holds_is_refused_and_left_alone(locked: Path) -> None:
    with pytest.raises(Refused, match="Is another scheduler running"):
        Journal(locked)
    assert not list(locked.parent.glob("*.corrupt-*"))


def test_a_second_scheduler_on_the_same_journal_is_refused(path: Path) -> None:
    first = Journal(path)
    with pytest.raises(Refused, match="another scheduler is running on"):
        Journal(path)
    first.close()
    Journal(path).close()


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(Refused, match="cannot use the journal"):
        Journal(path)


def test_the_format_of_a_newer_modelyard_is_refused(path: Path) -> None:
    Journal(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(Refused, match=rf"newer Modelyard \(format 99, this one knows {SCHEMA_VERSION}\)"):
        Journal(path)
    assert not list(path.parent.glob("*.corrupt-*"))


def test_a_file_of_the_first_format_goes_on(path: Path) -> None:
    """What it holds stays, and what came since has a place."""
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.executescript(f"{SCHEMA_STEPS[0]} PRAGMA user_version = 1; INSERT INTO models VALUES ('iris', 3, 0);")
    db.close()
    it = written(path, PutSize("0af", 7))
    assert (it.models, it.sizes) == ((PutModel("iris", 3, False),), (PutSize("0af", 7),))
    assert read(path) == it


def test_a_new_file_is_fresh_and_not_lost(path: Path) -> None:
    journal = Journal(path)
    assert (journal.fresh, journal.lost, journal.warnings) == (True, False, [])
    journal.close()
    again = Journal(path)
    assert (again.fresh, again.lost) == (False, False)
    again.close()


def test_an_empty_file_is_as_good_as_none(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    journal = Journal(path)
    assert journal.fresh
    journal.close()


# -- the history


def test_only_the_newest_lines_of_each_subject_are_kept(path: Path) -> None:
    journal = Journal(path, events_kept=3)
    journal.write([], [note(n) for n in range(5)])
    journal.write([], [note(10, "model/wine"), note(5)])
    assert [it.text for it in journal.events("model/iris")] == ["text 3", "text 4", "text 5"]
    assert [it.text for it in journal.events("model/wine")] == ["text 10"]
    journal.close()


def test_the_history_is_told_oldest_first_and_goes_on_after_a_restart(path: Path) -> None:
    journal = Journal(path)
    journal.write([], [note(1), note(2, "server/local")])
    journal.close()
    again = Journal(path)
    again.write([], [note(3)])
    assert [(it.sequence, it.text) for it in again.events()] == [(1, "text 1"), (2, "text 2"), (3, "text 3")]
    assert [it.text for it in again.events(limit=2)] == ["text 2", "text 3"]
    assert again.events("model/iris", 1) == (Note(1003.0, "model/iris", "text 3", "cause 3", 3),)
    again.close()


def test_the_gateways_that_were_there_come_back(path: Path) -> None:
    journal = Journal(path)
    assert journal.gateways() == ()
    journal.put_gateways(["b", "a"])
    journal.put_gateways(["a", "c"])
    journal.close()
    again = Journal(path)
    assert again.gateways() == ("a", "c")
    again.close()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch(0o644)  # as an earlier version made it
    journal = Journal(path)
    assert {it.name: it.stat().st_mode & 0o077 for it in tmp_path.glob("journal.db*") if "lock" not in it.name} == {
        "journal.db": 0,
        "journal.db-wal": 0,
        "journal.db-shm": 0,
    }
    journal.close()
