"""The rows of `get`, and the text of `describe`, in the corners that a small system does not reach."""

from dataclasses import replace

from modelyard.cli import descriptions, rows, shapes, sizes
from modelyard.client.results import Explained
from modelyard.domain.model import Artifact, Model, ModelSpec, Replicas
from modelyard.domain.names import ReplicaId, VersionId
from modelyard.domain.server import ReplicaConfig, ServerManifest, ServerNotice
from modelyard.domain.status import (
    Explanation,
    ModelState,
    ModelStatus,
    Note,
    ReplicaModelState,
    ReplicaModelStatus,
    ReplicaState,
    ReplicaStatus,
    ServerStatus,
    VersionStatus,
)

NOW = 1000.0
EXPECTED = ReplicaStatus(ReplicaId("s", 1), ReplicaState.EXPECTED, "not yet", 0.0, None)
EVICTED = ReplicaModelStatus(
    VersionId("m", 2), ReplicaId("s", 0), ReplicaModelState.AVAILABLE, "", 0.0, 2048, 1024, resident=False
)
CONNECTED = ReplicaStatus(
    ReplicaId("s", 0),
    ReplicaState.CONNECTED,
    "",
    990.0,
    ReplicaConfig("h", 80, 81, 2**30, frozenset({"onnx"}), 20),
    2048,
    (EVICTED,),
)
SERVER = ServerStatus("s", False, ServerNotice("s", 2, 1, 3), ServerManifest("s"), (CONNECTED, EXPECTED))
MODEL = Model("m", ModelSpec(Artifact("u"), server="s", memory_bytes=1536), Replicas(2, 0, 4))
STATUS = ModelStatus(
    "m",
    (
        VersionStatus(1, "s", ModelState.AVAILABLE, "", 1, 0, 900.0, MODEL),
        VersionStatus(2, "", ModelState.SCHEDULE_FAILED, "does not fit", 0, 2, 0.0, MODEL),
    ),
)


def test_a_row_has_a_cell_for_every_column() -> None:
    gone = ModelStatus("m", (), deleted=True)
    for wide in (False, True):
        assert {len(rows.model(it, NOW, wide=wide)) for it in (STATUS, gone)} == {
            len(rows.MODELS_WIDE if wide else rows.MODELS)
        }
        assert len(rows.server(SERVER, NOW, wide=wide)) == len(rows.SERVERS_WIDE if wide else rows.SERVERS)
        for replica in SERVER.replicas:
            assert len(rows.replica(replica, NOW, wide=wide)) == len(rows.REPLICAS_WIDE if wide else rows.REPLICAS)


def test_the_newest_version_stands_in_the_list() -> None:
    assert rows.model(STATUS, NOW) == ("m", "2", "ScheduleFailed", "0/2", "-", "-")


def test_a_replica_that_is_only_expected_has_no_figures() -> None:
    assert rows.replica(EXPECTED, NOW, wide=True) == ("s/1", "Expected", "0", "0", "-", "-", "-", "-", "-", "not yet")
    assert rows.server(SERVER, NOW)[:2] == ("s", "1/2")


def test_time_passing_is_no_change() -> None:
    before, after = (rows.replica(CONNECTED, now) for now in (1000.0, 1001.0))
    assert before != after
    assert rows.without_age(before, rows.REPLICAS) == rows.without_age(after, rows.REPLICAS)


def test_a_model_is_described_with_all_that_is_particular_about_it() -> None:
    explained = Explained("m", 2, Explanation("nowhere", False))
    said = descriptions.model_lines(STATUS, explained, ("x has no effect yet",), [Note(0.0, "model/m", "t", "c")], NOW)
    for line in (
        "State:    ScheduleFailed: does not fit",
        "Replicas: 0 available of 2 wanted, at most 4, may scale to zero",
        "Memory:   1.5Ki",
        "Server:   only s",
        "  1  Available for 100s",
        "  x has no effect yet",
    ):
        assert line in said, said
    assert said.index("  2  ScheduleFailed") < said.index("  1  Available for 100s")


HELD = ReplicaModelStatus(
    VersionId("m", 2), ReplicaId("s", 0), ReplicaModelState.LOADED, "", 0.0, 12 << 20, 12 << 20, True, "not compiled"
)
FETCHING = ReplicaModelStatus(
    VersionId("m", 2),
    ReplicaId("s", 1),
    ReplicaModelState.LOADING,
    "",
    0.0,
    1536,
    fetched_bytes=340,
    fetch_total_bytes=1000,
)


def placed() -> ModelStatus:
    """As the status of the model tells it, which knows no sizes; then joined with what the server tells."""
    loads = tuple(
        ReplicaModelStatus(VersionId("m", 2), ReplicaId("s", index), state, "", 990.0)
        for index, state in (
            (0, ReplicaModelState.AVAILABLE),
            (1, ReplicaModelState.LOADING),
            (2, ReplicaModelState.LOADING),
        )
    )
    version = VersionStatus(2, "s", ModelState.PROGRESSING, "", 1, 1, 990.0, MODEL, loads)
    servers = ServerStatus(
        "s", True, None, None, (replace(CONNECTED, models=(HELD,)), replace(EXPECTED, models=(FETCHING,)))
    )
    (status,) = sizes.joined([ModelStatus("m", (version,))], [servers])
    return status


def test_what_servers_tell_of_a_model_stands_beside_what_the_model_says() -> None:
    status = placed()
    assert [it.state for it in status.versions[0].replicas] == [
        ReplicaModelState.AVAILABLE,
        ReplicaModelState.LOADING,
        ReplicaModelState.LOADING,
    ]
    assert rows.model(status, NOW, wide=True)[rows.MODELS_WIDE.index("MEMORY")] == "12Mi/1.5Ki"
    said = descriptions.model_lines(status, Explained("m", 2, Explanation("", False)), ("x",), [], NOW)
    assert "Memory:   12Mi measured, 1.5Ki declared" in said
    for line in (
        "s/0  Available for 10s, 12Mi measured",
        "s/1  Loading for 10s: fetching 34 % of 1000",
        "s/2  Loading for 10s",
    ):
        assert f"     {line}" in said, said
    assert said[said.index("Notes:") :][:3] == ["Notes:", "  x", "  on s/0: not compiled"]
    (loads,) = [it["placedOn"] for it in shapes.model(status)["versions"]]
    assert (loads[0]["measuredBytes"], loads[0]["note"], loads[1]["fetchedBytes"]) == (12 << 20, "not compiled", 340)


def test_a_size_that_nobody_knows_is_a_dash() -> None:
    undeclared = replace(STATUS.versions[0], model=Model("m", ModelSpec(Artifact("u"))))
    assert sizes.cell(STATUS.versions[0]) == "-/1.5Ki"
    assert sizes.cell(undeclared) == "-/-"
    assert sizes.in_words(replace(undeclared, replicas=(HELD,))) == "12Mi measured, none declared"


def test_a_server_is_described_with_what_its_replicas_hold() -> None:
    said = "\n".join(descriptions.server_lines(SERVER, [], NOW))
    for words in ("no: it takes only models that are pinned to it", "at least 1, at most 3", "1Ki measured", "evicted"):
        assert words in said
    assert "Replica s/1: expected: not yet" in said
    assert said.endswith("Events: none")


def test_what_is_not_known_is_left_out_of_json_but_zero_and_false_stay() -> None:
    shape = shapes.server(SERVER)
    assert shape["shared"] is False
    assert shape["replicas"][1] == {"replica": "s/1", "state": "Expected", "reason": "not yet", "assignedBytes": 0}
    assert shapes.model(STATUS)["versions"][1]["availableReplicas"] == 0
