"""Manifests become models and servers, or every reason why not."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.model import Model, Replicas
from modelyard.domain.server import ServerManifest
from modelyard.kit.errors import InvalidInput, NotSupported
from modelyard.wire.manifests import Manifest, parse_manifest, parse_manifests
from modelyard.wire.models import encode_model
from tests.wire.strategies import NAMES

HEAD = "apiVersion: mlops.seldon.io/v1alpha1\n"


def model(spec: dict[str, Any], **metadata: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "mlops.seldon.io/v1alpha1",
            "kind": "Model",
            "metadata": {"name": "iris", **metadata},
            "spec": {"storageUri": "file:///models/iris", **spec},
        }
    )


def server(spec: dict[str, Any]) -> str:
    head = {"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Server", "metadata": {"name": "local"}}
    return yaml.safe_dump({**head, "spec": spec})


def only(text: str) -> Manifest:
    (manifest,) = parse_manifest(text)
    return manifest


def only_model(text: str) -> Model:
    item = only(text).item
    assert isinstance(item, Model)
    return item


def only_server(text: str) -> ServerManifest:
    item = only(text).item
    assert isinstance(item, ServerManifest)
    return item


def test_a_model_with_every_field_is_taken_and_what_has_no_effect_is_said() -> None:
    manifest = only(
        model(
            {
                "artifactVersion": 3,
                "modelType": "sklearn",
                "schemaUri": "s",
                "secretName": "secret",
                "requirements": ["onnx"],
                "memory": "100Ki",
                "replicas": 2,
                "minReplicas": 1,
                "maxReplicas": 4,
                "server": "local",
                "preloaded": True,
                "dedicated": True,
                "logger": {"percent": 10},
                "explainer": {"type": "anchor_tabular", "modelRef": "other"},
                "parameters": [{"name": "a", "value": "b"}],
                "dataflow": {"cleanTopicsOnDelete": True},
            },
            namespace="ns",
            generation=7,
            labels={"a": "b"},
            creationTimestamp="2024-01-01T00:00:00Z",
        )
    )
    it = manifest.item
    assert isinstance(it, Model)
    assert manifest.subject == "model/iris"
    assert it.replicas == Replicas(2, 1, 4)
    assert (it.kubernetes_namespace, it.kubernetes_generation) == ("ns", 7)
    assert it.spec.requirements == {"onnx", "sklearn"}
    assert it.spec.memory_bytes == 102_400
    assert it.spec.server == "local"
    assert it.spec.artifact.version == 3
    assert it.spec.parameters == (("a", "b"),)
    assert it.spec.explainer_type == "anchor_tabular"
    assert manifest.notes == (
        "spec.explainer has no effect yet",
        "spec.logger has no effect yet",
        "spec.dataflow.cleanTopicsOnDelete has no effect yet",
        "spec.maxReplicas has no effect yet",
        "spec.preloaded has no effect yet",
        "spec.dedicated has no effect yet",
        "spec.schemaUri has no effect yet",
    )
    message = encode_model(it)
    assert message.modelSpec.explainer.modelRef == "other"
    assert message.deploymentSpec.logPayloads
    assert message.dataflowSpec.cleanTopicsOnDelete


def test_a_model_needs_no_more_than_a_name_and_a_uri() -> None:
    manifest = only(model({}))
    it = manifest.item
    assert isinstance(it, Model)
    assert manifest.notes == ()
    assert (it.name, it.spec.artifact.uri, it.replicas) == ("iris", "file:///models/iris", Replicas())
    assert it.spec.memory_bytes is None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, Replicas(1, None, None)),
        ({"replicas": 3}, Replicas(3, None, None)),
        ({"minReplicas": 0}, Replicas(1, 0, None)),
        ({"minReplicas": 2}, Replicas(2, 2, None)),
        ({"replicas": 3, "minReplicas": 0, "maxReplicas": 3}, Replicas(3, 0, 3)),
        ({"replicas": 2, "minReplicas": None}, Replicas(2, None, None)),
    ],
)
def test_counts_keep_whether_they_were_given(counts: dict[str, Any], expected: Replicas) -> None:
    assert only_model(model(counts)).replicas == expected


def test_an_llm_reference_is_kept() -> None:
    manifest = only(model({"llm": {"modelRef": "prompt"}}))
    assert manifest.notes == ("spec.llm has no effect yet",)
    assert isinstance(manifest.item, Model)
    assert encode_model(manifest.item).modelSpec.llm.modelRef == "prompt"


def test_a_server_takes_its_memory_and_overcommit_from_its_pod() -> None:
    pod = {
        "containers": [
            {"name": "agent", "env": [{"name": "SELDON_OVERCOMMIT_PERCENTAGE", "value": "20"}]},
            {"name": "rclone", "resources": {"requests": {"memory": "9Gi"}}},
            {"name": "mlserver", "resources": {"requests": {"cpu": 1, "memory": "1.5Gi"}}},
        ]
    }
    manifest = only(
        server(
            {
                "serverConfig": "mlserver",
                "replicas": 2,
                "capabilities": ["a"],
                "extraCapabilities": ["b"],
                "podSpec": pod,
                "disableAutoUpdate": True,
            }
        )
    )
    assert manifest.subject == "server/local"
    it = manifest.item
    assert isinstance(it, ServerManifest)
    expected = ServerManifest("local", Replicas(2), "mlserver", ("a",), ("b",), 3 * 2**29, 20)
    assert replace(it, rest_json="") == expected
    assert json.loads(it.rest_json) == {"podSpec": pod, "disableAutoUpdate": True}
    assert [note.split()[0] for note in manifest.notes] == ["spec.disableAutoUpdate", "of"]


def test_a_server_needs_a_name_only_and_may_have_no_replicas() -> None:
    assert only_server(HEAD + "kind: Server\nmetadata: {name: local}\n") == ServerManifest("local")
    assert only_server(server({"replicas": 0})).replicas.wanted == 0


def test_lists_and_many_documents_are_taken_in_order() -> None:
    items = [yaml.safe_load(model({}, name=name)) for name in ("a", "b")]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}) + "---\n---\n" + model({}, name="c")
    assert [it.subject for it in parse_manifest(text)] == ["model/a", "model/b", "model/c"]


def test_json_is_taken() -> None:
    assert only_model(json.dumps(yaml.safe_load(model({"memory": "1Ki"})))).spec.memory_bytes == 1024


def test_anchors_and_merges_are_taken() -> None:
    text = (
        HEAD
        + "kind: List\nx: &s {storageUri: u, memory: 1Ki}\nitems:\n"
        + "".join(
            f"- {{apiVersion: mlops.seldon.io/v1alpha1, kind: Model, metadata: {{name: {name}}}, "
            "spec: {<<: *s, memory: 2Ki}}\n"
            for name in "ab"
        )
    )
    assert [it.item.spec.memory_bytes for it in parse_manifest(text) if isinstance(it.item, Model)] == [2048, 2048]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (model({"memroy": "1Gi"}), "spec.memroy is not a field of a Model: did you mean memory?"),
        (model({"zzz": 1}), "spec.zzz is not a field of a Model; there are artifactVersion, dataflow, dedicated"),
        (model({"logger": {"precent": 1}}), "spec.logger.precent is not a field of a Model: did you mean percent?"),
        (model({"parameters": [{"nam": "a", "value": "b"}]}), r"spec.parameters\[0\].nam is not a field"),
        (model({"memory": "1.5GiB"}), "spec.memory: '1.5GiB' is not a quantity.*did you mean 1.5Gi"),
        (model({"memory": 0.5}), "spec.memory: '0.5' does not come to whole bytes"),
        (model({"memory": [1]}), "spec.memory: .* is not a quantity"),
        (model({"replicas": "2"}), "spec.replicas must be a whole number, not the text '2': leave the quotes out"),
        (model({"replicas": 1.5}), "spec.replicas must be a whole number, not the number 1.5"),
        (model({"replicas": -1}), "spec.replicas must be at least 0, not -1"),
        (model({"replicas": 2**31}), "spec.replicas must be at most"),
        (model({"replicas": True}), "spec.replicas must be a whole number, not true"),
        (model({"replicas": 0}), "spec: replicas must be at least 1"),
        (model({"replicas": 1, "minReplicas": 2}), "spec: replicas 1 is below minReplicas 2"),
        (model({"preloaded": "yes"}), "spec.preloaded must be true or false, not the text 'yes'"),
        (model({"requirements": "onnx"}), "spec.requirements must be a list, not the text 'onnx'"),
        (model({"requirements": [True]}), r"spec.requirements\[0\] must be text, not true: put it in quotes"),
        (model({"storageUri": ""}), "spec.storageUri is empty"),
        (model({"storageUri": 5}), "spec.storageUri must be text, not the number 5: put it in quotes"),
        (model({"server": "No.Good"}), "spec.server: 'No.Good' is not a valid name"),
        (model({"explainer": {"type": "t"}, "llm": {}}), "explainer and llm cannot both be set"),
        (model({}, name="Iris_1"), "metadata.name: 'Iris_1' is not a valid name"),
        (model({}, name=""), "metadata.name: a name is needed"),
        (model({}, name=7), "metadata.name must be text, not the number 7"),
        (model({}, nmae="x"), "metadata.nmae is not a field of a Model: did you mean name?"),
        (HEAD + "kind: Model\nmetadata: {name: a}\n", "spec is missing"),
        (HEAD + "kind: Model\nmetadata: {name: a}\nspec: {}\n", "spec.storageUri is missing"),
        (HEAD + "kind: Model\nmetadata: {name: a}\nspec: x\n", "spec must be a mapping, not the text 'x'"),
        (HEAD + "kind: Modle\n", "there is no kind 'Modle': did you mean Model?"),
        (HEAD + "kind: [Model]\n", "there is no kind"),
        (HEAD + "metadata: {}\n", "kind is missing: Model or Server"),
        ("kind: Model\nmetadata: {name: a}\nspec: {storageUri: u}\n", "apiVersion is missing"),
        ("apiVersion: v1\nkind: Model\n", "apiVersion 'v1' is not known for a Model: use mlops.seldon.io/v1alpha1"),
        ("apiVersion: v1\nkind: List\nitems: 3\n", "items must be a list"),
        ("apiVersion: v1\nkind: List\nitems: [3]\n", r"items\[0\] must be a mapping"),
        ("just text\n", "the document must be a mapping"),
        (server({"capabilites": []}), "spec.capabilites is not a field of a Server: did you mean capabilities?"),
        (server({"replicas": 0, "minReplicas": 1}), "spec: replicas must be at least 1"),
        (
            server({"podSpec": {"containers": [{"name": "s", "resources": {"requests": {"memory": "1GB"}}}]}}),
            r"spec.podSpec.containers\[0\].resources.requests.memory: '1GB' is not a quantity",
        ),
        (
            server({"podSpec": {"containers": [{"env": [{"name": "SELDON_OVERCOMMIT_PERCENTAGE", "value": "x"}]}]}}),
            "'x' is not a percentage",
        ),
        (model({}) + "---\n" + model({}), "document 2, line 8: model/iris is given twice: first in -: document 1"),
    ],
)
def test_what_is_wrong_is_refused_with_the_path_and_the_nearest_word(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_manifest(text)


@pytest.mark.parametrize("kind", ["Pipeline", "Experiment", "ServerConfig", "SeldonRuntime", "SeldonConfig"])
def test_a_kind_of_a_later_issue_says_that_it_is_not_supported_yet(kind: str) -> None:
    with pytest.raises(NotSupported, match=f"f.yaml: document 1, line 2: kind {kind} is not supported yet"):
        parse_manifest(f"{HEAD}kind: {kind}\nmetadata: {{name: a}}\nspec: {{}}\n", "f.yaml")


def test_every_problem_of_every_file_is_told_with_its_place() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_manifests(
            [
                ("a.yaml", HEAD + "kind: Model\nmetadata:\n  name: A\nspec:\n  storageUri: u\n"),
                ("b.yaml", "---\n---\n" + HEAD + "kind: Model\nmetadata: {name: b}\nspec:\n  memory: 1Q\n"),
                ("c.yaml", HEAD + "kind: Pipeline\n"),
            ]
        )
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0:2] for line in lines] == [
        ["a.yaml", "document 1, line 4"],
        ["b.yaml", "document 2, line 6"],
        ["b.yaml", "document 2, line 7"],
        ["c.yaml", "document 1, line 2"],
    ]


def test_only_the_first_problems_are_told_when_there_are_very_many() -> None:
    text = "---\n".join(model({"memroy": 1}, name=f"m{number}") for number in range(50))
    with pytest.raises(InvalidInput) as caught:
        parse_manifest(text)
    assert str(caught.value).splitlines()[-1] == "… and 30 more"


@given(NAMES, st.none() | st.integers(1, 9), st.none() | st.integers(0, 9), st.none() | st.integers(0, 2**60))
def test_a_model_says_what_its_manifest_says(
    name: str, wanted: int | None, minimum: int | None, memory: int | None
) -> None:
    text = model({"replicas": wanted, "minReplicas": minimum, "memory": memory}, name=name)
    expected = Replicas(wanted or minimum or 1, minimum, None)
    if expected.problem():
        with pytest.raises(InvalidInput):
            parse_manifest(text)
    else:
        it = only_model(text)
        assert (it.name, it.replicas, it.spec.memory_bytes) == (name, expected, memory)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab1G.", max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "type", "x"]), inner),
    max_leaves=4,
)
FIELDS = st.sampled_from(["storageUri", "memory", "replicas", "explainer", "llm", "parameters", "server", "podSpec"])


@given(st.sampled_from(["Model", "Server"]), VALUES, st.dictionaries(FIELDS, VALUES) | VALUES)
def test_any_values_are_taken_or_refused_and_nothing_else(kind: str, name: Any, spec: Any) -> None:
    document = {"apiVersion": "mlops.seldon.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    try:
        parse_manifest(yaml.safe_dump(document))
    except (InvalidInput, NotSupported):
        pass


def test_a_server_config_that_there_is_not_is_refused_with_the_nearest() -> None:
    text = "apiVersion: mlops.seldon.io/v1alpha1\nkind: Server\nmetadata: {name: a}\nspec: {serverConfig: mlservr}\n"
    with pytest.raises(InvalidInput, match=r"there is no server config 'mlservr': did you mean mlserver\?"):
        parse_manifest(text)
