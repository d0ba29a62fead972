"""Manifest files: which are read, and what relative paths in them mean."""

import json
import os
import threading
from pathlib import Path

import pytest
import yaml

from modelyard.client.manifest_files import absolute_uri, read_manifests
from modelyard.domain.model import Model
from modelyard.kit.errors import InvalidInput, NotFound


def text(name: str, uri: str = "file:///m") -> str:
    head = f"apiVersion: mlops.seldon.io/v1alpha1\nkind: Model\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{storageUri: '{uri}'}}\n"


def test_a_folder_gives_its_files_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for path, name in {"z.yaml": "z", "a.yml": "a", "m/b.json": "b", ".git/c.yaml": "c", "d.txt": "d"}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text(name))
    (tmp_path / "m" / "b.json").write_text(json.dumps(yaml.safe_load(text("b"))))
    assert [it.subject for it in read_manifests([str(tmp_path)])] == ["model/a", "model/b", "model/z"]


def test_a_relative_uri_starts_at_its_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yaml").write_text(text("a", "./models/x"))
    (tmp_path / "deep" / "b.yaml").write_text(text("b", "../models/y"))
    (tmp_path / "c.yaml").write_text(text("c", "remote:bucket"))
    uris = [it.item.spec.artifact.uri for it in read_manifests([str(tmp_path)]) if isinstance(it.item, Model)]
    assert uris == ["remote:bucket", f"{tmp_path}/deep/models/x", f"{tmp_path}/models/y"]


def test_a_relative_uri_in_a_pipe_starts_where_the_reader_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    writing = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text("a", "./x"),))
    writing.start()
    (manifest,) = read_manifests([str(tmp_path / "pipe")])
    writing.join()
    assert isinstance(manifest.item, Model)
    assert manifest.item.spec.artifact.uri == f"{tmp_path}/here/x"


@pytest.mark.parametrize("uri", ["file:///m", "http://h/m", "gs://b/m", "/abs", "models/x", ".hidden"])
def test_other_uris_stay_as_they_are(uri: str) -> None:
    assert absolute_uri(uri, Path("/folder")) == uri


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file or folder"):
        read_manifests([str(tmp_path / "x")])
    with pytest.raises(NotFound, match=r"no .yaml, .yml, .json file in"):
        read_manifests([str(tmp_path)])
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="is not UTF-8 text"):
        read_manifests([str(tmp_path / "x.yaml")])
    (tmp_path / "x.yaml").write_text("# nothing\n---\n")
    with pytest.raises(InvalidInput, match="there is no manifest in"):
        read_manifests([str(tmp_path / "x.yaml")])


def test_a_name_may_stand_only_once_in_all_files(tmp_path: Path) -> None:
    for file in ("a.yaml", "b.yaml"):
        (tmp_path / file).write_text(text("same"))
    with pytest.raises(InvalidInput, match=r"b.yaml: document 1, line 1: model/same is given twice: first in .*a.yaml"):
        read_manifests([str(tmp_path)])
