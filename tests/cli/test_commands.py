"""Every command, against a whole running system."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelyard.cli import main
from modelyard.kit.errors import Unavailable
from tests.e2e.yard import EXAMPLES, MODELYARD, Yard

pytestmark = pytest.mark.e2e

IRIS_FOLDER = EXAMPLES / "models" / "iris-onnx"
ROW = {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}
REQUEST = json.dumps({"id": "r1", "inputs": [ROW]})


def manifest(name: str, **spec: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "mlops.seldon.io/v1alpha1",
            "kind": "Model",
            "metadata": {"name": name},
            "spec": {"storageUri": str(IRIS_FOLDER), "requirements": ["onnx"], "memory": "1Mi", **spec},
        }
    )


def inside(yard: Yard, *arguments: str) -> Any:
    """A command in this process, which takes a tenth of the time of a new one."""
    environment = {"MODELYARD_STATE_DIR": str(yard.state_dir), "XDG_STATE_HOME": yard.environment["XDG_STATE_HOME"]}
    return CliRunner().invoke(main.app, arguments, env=environment)


def load(yard: Yard, name: str, *options: str) -> None:
    loading = inside(yard, "load", name, str(IRIS_FOLDER), "--requires", "onnx", "--memory", "1Mi", *options)
    assert loading.exit_code == 0, loading.stderr
    assert inside(yard, "wait", f"model/{name}").exit_code == 0


def test_a_manifest_is_applied_waited_for_asked_and_deleted(shared_yard: Yard, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(manifest("walk"))
    said = shared_yard.do("apply", "-f", str(file))
    assert said.startswith("model/walk created (version 1): on local/")
    assert shared_yard.do("wait", "model/walk", "--for", "available") == "model/walk is Available\n"
    assert shared_yard.do("apply", "-f", str(file)).startswith("model/walk unchanged (version 1)")
    answer = json.loads(shared_yard.do("infer", "walk", "-d", REQUEST))
    assert (answer["model_name"], answer["id"], answer["outputs"][0]["data"]) == ("walk_1", "r1", [0])
    assert shared_yard.do("delete", "-f", str(file)) == "model/walk deleted\n"
    assert shared_yard.do("wait", "model/walk", "--for", "Deleted") == "model/walk is Deleted\n"
    assert shared_yard.run("describe", "model", "walk").returncode == 3


def test_the_sample_manifests_work_from_another_folder(shared_yard: Yard, tmp_path: Path) -> None:
    said = shared_yard.do("apply", "-f", str(EXAMPLES / "iris.yaml"), cwd=tmp_path)
    assert said.startswith("model/iris created")
    shared_yard.do("wait", "model/iris")
    assert shared_yard.do("unload", "iris") == "model/iris unloaded\n"


def test_a_folder_is_applied_in_the_order_of_its_paths(shared_yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "m.json").write_text(json.dumps(yaml.safe_load(manifest("folder-b"))))
    (tmp_path / "a.yml").write_text(manifest("folder-a"))
    (tmp_path / ".hidden.yaml").write_text("no: manifest")
    (tmp_path / "notes.txt").write_text("no manifest")
    said = shared_yard.do("apply", "-f", str(tmp_path), "-o", "json")
    assert [it["subject"] for it in json.loads(said)] == ["model/folder-a", "model/folder-b"]
    said = shared_yard.do("delete", "-f", str(tmp_path))
    assert said == "model/folder-b deleted\nmodel/folder-a deleted\n"


def test_standard_input_is_applied(shared_yard: Yard) -> None:
    done = subprocess.run(
        [MODELYARD, "apply", "-f", "-", "--state-dir", shared_yard.state_dir],
        input=manifest("from-stdin"),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("model/from-stdin created")
    shared_yard.do("delete", "model/from-stdin")


def test_nothing_is_sent_when_one_manifest_is_wrong(shared_yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(manifest("half-right") + "---\n" + manifest("half-wrong", memroy="1Gi"))
    done = shared_yard.run("apply", "-f", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "document 2" in done.stderr
    assert "spec.memroy is not a field of a Model: did you mean memory?" in done.stderr
    assert "half-right" not in shared_yard.do("get", "models")


def test_a_model_with_nowhere_to_go_is_accepted_with_the_reasons(shared_yard: Yard, tmp_path: Path) -> None:
    new = str(tmp_path / "files")  # of other files it may be known what they take, whatever is declared
    (tmp_path / "m.yaml").write_text(manifest("homeless", storageUri=new, memory="1Ti", logger={"percent": 1}))
    done = shared_yard.run("apply", "-f", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "model/homeless created (version 1)\n")
    assert "warning: model/homeless has nowhere to go yet:\n  local/0, local/1: needs 1Ti" in done.stderr
    assert "note: model/homeless: spec.logger has no effect yet" in done.stderr
    done = shared_yard.run("wait", "model/homeless", "--timeout", "300ms")
    assert done.returncode == 6
    assert "version 1 is ScheduleFailed: " in done.stderr
    shared_yard.do("wait", "model/homeless", "--for", "Unavailable")
    assert "not on local/0, local/1: needs 1Ti" in shared_yard.do("explain", "homeless")
    assert "spec.logger has no effect yet" in shared_yard.do("describe", "model", "homeless")
    shared_yard.do("delete", "model", "homeless")


def test_a_dry_run_says_where_and_changes_nothing(shared_yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(manifest("only-asked"))
    said = shared_yard.do("apply", "-f", str(tmp_path), "--dry-run")
    first, chosen, other = said.splitlines()
    assert first.startswith("model/only-asked would be created (dry run): version 1 would go to local/")
    assert chosen.startswith("  local/")
    assert other.startswith("  not local/")
    assert "only-asked" not in shared_yard.do("get", "models")
    said = shared_yard.do("load", "only-asked", "/nowhere", "--memory", "1Ti", "--dry-run")
    assert "it would go nowhere\n  not local/0, local/1: needs 1Ti" in said


def test_lists_are_tables_json_and_yaml(shared_yard: Yard) -> None:
    load(shared_yard, "listed", "--replicas", "2")
    header, *rows = shared_yard.do("get", "models").splitlines()
    assert header.split() == ["NAME", "VERSION", "STATE", "AVAILABLE", "SERVER", "AGE"]
    assert ["listed", "1", "Available", "2/2", "local"] in [row.split()[:5] for row in rows]
    wide = shared_yard.do("get", "models", "listed", "-o", "wide")
    assert str(IRIS_FOLDER) in wide
    assert wide.splitlines()[1].split()[wide.splitlines()[0].split().index("MEMORY")].endswith("/1Mi")
    one = json.loads(shared_yard.do("get", "model", "listed", "-o", "json"))
    (version,) = one["versions"]
    assert (one["name"], one["state"], version["memoryBytes"]) == ("listed", "Available", 2**20)
    assert [it["replica"] for it in version["placedOn"]] == ["local/0", "local/1"]
    everything = yaml.safe_load(shared_yard.do("get", "models", "-o", "yaml"))
    assert one in everything
    (server,) = json.loads(shared_yard.do("get", "servers", "-o", "json"))
    assert (server["name"], server["expectedReplicas"]) == ("local", 2)
    replicas = shared_yard.do("get", "replicas", "local/1").splitlines()
    assert [row.split()[:2] for row in replicas] == [["REPLICA", "STATE"], ["local/1", "Connected"]]
    assert "local" in shared_yard.do("get", "servers")
    shared_yard.do("unload", "listed")


def test_describe_tells_versions_states_and_events_in_order(shared_yard: Yard) -> None:
    load(shared_yard, "told")
    load(shared_yard, "told", "--memory", "2Mi")
    said = shared_yard.do("describe", "model", "told", "--events", "0")
    assert "State:    Available" in said
    assert "  2  Available" in said
    events = said.split("Events:\n")[1].splitlines()
    assert len(events) >= 4
    assert events == sorted(events, key=lambda line: line.split()[0])
    assert any("version 2 is ModelAvailable" in line for line in events)
    few = json.loads(shared_yard.do("describe", "model/told", "--events", "2", "-o", "json"))
    assert len(few["events"]) == 2
    assert few["explanation"]["placed"] is True
    server = shared_yard.do("describe", "server", "local")
    assert "told_2" in server
    assert "Replica local/0: connected" in server
    shared_yard.do("unload", "told")


def test_a_watch_of_one_model_says_when_it_is_gone(shared_yard: Yard) -> None:
    load(shared_yard, "passing")
    watch = subprocess.Popen(
        [MODELYARD, "get", "models", "passing", "-w", "--state-dir", shared_yard.state_dir],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stdout is not None
        assert [watch.stdout.readline().split()[0] for _ in range(2)] == ["NAME", "passing"]
        shared_yard.do("unload", "passing")
        assert any(line == "passing  gone\n" for line in watch.stdout)
    finally:
        watch.kill()
        watch.communicate()


def test_a_watch_shows_changes_until_ctrl_c_and_ends_quietly(shared_yard: Yard) -> None:
    watch = subprocess.Popen(
        [MODELYARD, "get", "models", "--watch", "--state-dir", shared_yard.state_dir],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stdout is not None
        assert watch.stdout.readline().split()[0] == "NAME"
        load(shared_yard, "watched")
        for line in watch.stdout:
            if line.split()[:3] == ["watched", "1", "Available"]:
                break
        watch.send_signal(signal.SIGINT)
        _, said = watch.communicate(timeout=30)
        assert (watch.returncode, said) == (130, "")
    finally:
        watch.kill()
        watch.communicate()
    shared_yard.do("unload", "watched")


@pytest.mark.parametrize("how", [[], ["--grpc"]], ids=["rest", "grpc"])
def test_headers_are_shown_on_standard_error(shared_yard: Yard, how: list[str]) -> None:
    load(shared_yard, "asked")
    body = json.dumps([ROW])
    done = shared_yard.run("infer", "asked", "-d", body, "--show-headers", "--header", "x-request-id=mine", *how)
    assert done.returncode == 0
    assert json.loads(done.stdout)["outputs"][0]["data"] == [0]
    for line in ("> seldon-model: asked", "> x-request-id: mine", "< x-request-id: mine"):
        assert line in done.stderr.splitlines()
    assert "< x-seldon-route: :asked_" in done.stderr


def test_without_a_request_an_example_of_the_model_is_shown_that_works(shared_yard: Yard, tmp_path: Path) -> None:
    load(shared_yard, "shown")
    done = shared_yard.run("infer", "shown")
    assert done.returncode == 2
    example = done.stderr.split("modelyard infer shown -d ")[1].strip().strip("'")
    (tmp_path / "request.json").write_text(example)
    answer = json.loads(shared_yard.do("infer", "shown", "-f", str(tmp_path / "request.json")))
    assert answer["model_name"] == "shown_1"
    shared_yard.do("unload", "shown")


@pytest.mark.parametrize("how", [[], ["--grpc"]], ids=["rest", "grpc"])
@pytest.mark.parametrize(
    ("name", "data", "code", "says"),
    [
        ("refuser", '[{"name":"Y","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]', 2, "'X' is missing"),
        ("refuser", '[{"name":"X","shape":[1,4],"datatype":"FP32","data":[1,2,3]}]', 2, "tensor 'X'"),
        ("refuser", "{", 2, "-d is not JSON"),
        ("refuser", "3", 2, "must be a V2 request"),
        ("unheard-of", REQUEST, 3, "unheard-of"),
        ("Not_A_Name", REQUEST, 2, "is not a valid name"),
    ],
)
def test_a_refusal_is_one_line_with_its_exit_code(
    shared_yard: Yard, how: list[str], name: str, data: str, code: int, says: str
) -> None:
    if name == "refuser":
        load(shared_yard, "refuser")
    done = inside(shared_yard, "infer", name, "-d", data, *how)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert says in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["get", "models", "unheard-of"], 3, "unheard-of"),
        (["get", "servers", "unheard-of"], 3, "unheard-of"),
        (["get", "pods"], 2, "there is no kind 'pods'"),
        (["get", "models", "--watch", "-o", "json"], 2, "--watch prints a table"),
        (["describe", "server", "unheard-of"], 3, "unheard-of"),
        (["explain", "unheard-of"], 3, "unheard-of"),
        (["delete", "model", "unheard-of"], 3, "unheard-of"),
        (["delete", "server", "unheard-of"], 3, "unheard-of"),
        (["delete"], 2, "modelyard delete model NAME"),
        (["unload", "unheard-of"], 3, "unheard-of"),
        (["wait", "model/unheard-of"], 3, "unheard-of"),
        (["wait", "server/local"], 7, "only models"),
        (["wait", "model/x", "--for", "Redy"], 2, "nothing to wait for"),
        (["wait", "model/x", "--timeout", "soon"], 2, "not a duration"),
        (["apply"], 2, "modelyard apply -f FILE"),
        (["apply", "-f", "/unheard-of"], 3, "no such file or folder"),
        (["load", "No.Name", "/x"], 2, "not a valid name"),
        (["load", "x", "/x", "--memory", "1GB"], 2, "did you mean 1Gi or 1G?"),
        (["load", "x", "/x", "--replicas", "0"], 2, "replicas must be at least 1"),
        (["infer", "x", "-d", "{}", "-f", "y"], 2, "not both"),
        (["infer", "x", "-f", "/unheard-of"], 3, "cannot read /unheard-of"),
        (["infer", "x", "-d", "{}", "--header", "x"], 2, "is not K=V"),
        (["infer", "x", "-d", '{"inputs": []}', "--header", "a b=c"], 2, "cannot be sent as a header"),
        (["infer", "x", "-d", '{"inputs": []}', "--header", "a=b\nc", "--grpc"], 2, "cannot be sent as a header"),
        (["load", "x", ""], 2, "a URI is needed"),
        (["get", "models", "--scheduler", "127.0.0.1:1"], 5, "cannot reach the scheduler at 127.0.0.1:1"),
        (["get", "models", "--scheduler", "nowhere"], 2, "write HOST:PORT"),
        (["infer", "x", "-d", REQUEST, "--gateway", "127.0.0.1:1"], 5, "cannot reach the gateway at 127.0.0.1:1"),
        (["get", "models", "--state-dir", "/unheard-of"], 5, "no Modelyard is running in /unheard-of"),
    ],
    ids=lambda it: " ".join(it) if isinstance(it, list) else None,
)
def test_what_cannot_be_done_is_one_line_with_its_exit_code(
    shared_yard: Yard, arguments: list[str], code: int, says: str
) -> None:
    done = inside(shared_yard, *arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert says in done.stderr


def test_what_is_not_there_need_not_be_deleted(shared_yard: Yard) -> None:
    assert shared_yard.do("delete", "model", "unheard-of", "--ignore-not-found") == ""


def test_status_shows_parts_gateways_and_servers(shared_yard: Yard) -> None:
    said = shared_yard.do("status")
    for part in ("scheduler", "gateway", "runtime-local-0", "agent-local-1"):
        assert f"\n{part}" in said
    assert "connected" in said
    shape = json.loads(shared_yard.do("status", "-o", "json"))
    assert {it["state"] for it in shape["parts"]} == {"running"}
    assert [it["connected"] for it in shape["gateways"]] == [True]
    assert (shape["providers"], shape["servers"][0]["name"]) == (1, "local")


def test_a_scheduler_can_be_named_by_its_address_alone(shared_yard: Yard) -> None:
    address = shared_yard.system().scheduler
    by_option = shared_yard.run("status", "--scheduler", address, MODELYARD_STATE_DIR="/unheard-of")
    by_variable = shared_yard.run("get", "servers", MODELYARD_STATE_DIR="", MODELYARD_SCHEDULER=address)
    assert (by_option.returncode, by_variable.returncode) == (0, 0)
    assert f"scheduler:  {address}" in by_option.stdout
    assert "local" in by_variable.stdout


def test_raw_outputs_are_written_out(shared_yard: Yard) -> None:
    load(shared_yard, "raw")
    body = json.dumps({"inputs": [ROW], "parameters": {"binary_data_output": True}})
    for how in ([], ["--grpc"]):
        done = inside(shared_yard, "infer", "raw", "-d", body, *how)
        assert json.loads(done.stdout)["outputs"][0]["data"] == [0]
    shared_yard.do("unload", "raw")


def test_asking_a_model_that_has_no_place_says_why(shared_yard: Yard, tmp_path: Path) -> None:
    try:
        shared_yard.do("load", "homeless-too", str(tmp_path), "--memory", "1Ti")
        for flags in ([], ["--grpc"]):
            done = shared_yard.run("infer", "homeless-too", "-d", "[]", *flags)
            assert done.returncode == Unavailable.exit_code
            assert "needs 1Ti, the replica has 1Gi in all" in done.stderr
    finally:
        shared_yard.do("unload", "homeless-too")
