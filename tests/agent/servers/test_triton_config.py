from collections.abc import Sequence

import pytest

from modelyard.agent.servers import triton_config
from modelyard.agent.servers.triton_config import Layout

CONFIG = """# a comment with name: "not this"
name: "iris"
backend: 'python'
max_batch_size: 0
input [
  { name: "x", data_type: TYPE_FP32, dims: [ -1, 4 ] }
]
instance_group { count: 2 kind: KIND_CPU }
instance_group [ { kind: KIND_CPU }, { count: 7 kind: KIND_GPU } ]
parameters: { key: "text" value: { string_value: "a \\" { b" } }
version_policy: { specific: { versions: [ 3, 4 ] } };
"""


@pytest.mark.parametrize(
    ("paths", "wanted", "expected"),
    [
        pytest.param(
            ["config.pbtxt", "1/model.py", "2/model.py", "2/lib/a.py", "labels.txt"],
            None,
            Layout(
                "config.pbtxt",
                (("2/lib/a.py", "1/lib/a.py"), ("2/model.py", "1/model.py"), ("labels.txt", "labels.txt")),
            ),
            id="the highest number becomes 1, what is beside the config stays there",
        ),
        pytest.param(
            ["config.pbtxt", "1/model.py", "2/model.py"],
            1,
            Layout("config.pbtxt", (("1/model.py", "1/model.py"),)),
            id="the wanted number",
        ),
        pytest.param(
            ["iris/config.pbtxt", "iris/4/model.onnx", "README"],
            None,
            Layout("iris/config.pbtxt", (("iris/4/model.onnx", "1/model.onnx"),)),
            id="a folder around the model",
        ),
        pytest.param(
            ["1/config.pbtxt", "1/model.py", "2/config.pbtxt", "2/model.py"],
            None,
            Layout("2/config.pbtxt", (("2/model.py", "1/model.py"),)),
            id="a config in each numbered folder",
        ),
        pytest.param(
            ["2/config.pbtxt", "2/model.py", "config.pbtxt"],
            None,
            Layout("2/config.pbtxt", (("2/model.py", "1/model.py"),)),
            id="the version's own config counts before that of all",
        ),
        pytest.param(
            ["config.pbtxt", "labels.txt", "model.py"],
            None,
            Layout(
                "config.pbtxt",
                (
                    ("labels.txt", "labels.txt"),
                    ("labels.txt", "1/labels.txt"),
                    ("model.py", "model.py"),
                    ("model.py", "1/model.py"),
                ),
            ),
            id="no numbered folder",
        ),
        pytest.param(["1/model.onnx"], None, Layout(None, (("1/model.onnx", "1/model.onnx"),)), id="no config"),
        pytest.param(["config.pbtxt"], None, Layout("config.pbtxt", ()), id="an ensemble"),
    ],
)
def test_where_the_files_go(paths: Sequence[str], wanted: int | None, expected: Layout) -> None:
    assert triton_config.layout(paths, wanted) == expected


@pytest.mark.parametrize(
    ("paths", "wanted", "sentence"),
    [
        (["config.pbtxt", "1/m"], 3, "it has no version 3 (artifactVersion): it has 1"),
        (["config.pbtxt", "m"], 3, "it has no version 3 (artifactVersion): it has no numbered folders"),
        (
            ["a/config.pbtxt", "b/config.pbtxt"],
            None,
            "it holds config.pbtxt 2 times, for more than one model: a/config.pbtxt, b/config.pbtxt",
        ),
    ],
)
def test_why_files_go_nowhere(paths: Sequence[str], wanted: int | None, sentence: str) -> None:
    with pytest.raises(LookupError) as refusal:
        triton_config.layout(paths, wanted)
    assert refusal.value.args[0] == sentence


def test_a_config_is_renamed_and_keeps_all_but_its_version_policy() -> None:
    after = triton_config.rewritten(CONFIG, "iris_2")
    expected = CONFIG.replace('name: "iris"', "", 1).replace(CONFIG[CONFIG.index("version_policy") : -1], "")
    assert after == f'name: "iris_2"\n{expected}'
    assert [it.name for it in triton_config.fields(after)] == [
        *("name", "backend", "max_batch_size", "input", "instance_group", "instance_group", "parameters"),
    ]


def test_a_config_on_one_line_and_one_that_is_empty() -> None:
    assert triton_config.rewritten('name: "a" platform: "b"', "c") == 'name: "c"\n platform: "b"'
    assert triton_config.rewritten("", "c") == 'name: "c"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(CONFIG, 3, id="blocks and lists, with and without a count"),
        pytest.param("instance_group [ { kind: KIND_GPU count: 2 } ]", None, id="none on the CPU"),
        pytest.param('name: "a"', None, id="nothing said"),
        pytest.param("instance_group < kind: KIND_CPU; count: 4 >", 4, id="angle brackets"),
    ],
)
def test_instances_on_the_cpu_are_counted(text: str, expected: int | None) -> None:
    assert triton_config.cpu_instances(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name: "a', "config.pbtxt, line 1: '\"a' is not known"),
        ('name: "a"\ninput {', "config.pbtxt ends within a field"),
        ("name:\nmax: ]", "config.pbtxt, line 2: a field's name was expected, not :"),
        ("input: [ 1 2 ]", "config.pbtxt, line 1: a comma or ] was expected"),
        ("a 3", "config.pbtxt, line 1: a value was expected, not 3"),
        ("\x00", "config.pbtxt, line 1: '\\x00' is not known"),
        ("a {" * 200, "config.pbtxt is nested more than 100 deep"),
    ],
)
def test_what_is_no_config_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as refusal:
        triton_config.rewritten(text, "b")
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("requirements", "files", "line"),
    [
        (("triton", "python"), ["1/model.py"], 'backend: "python"'),
        (("triton", "python", "onnx"), ["1/model.onnx"], 'backend: "onnxruntime"'),
        (("tensorflow",), ["1/model.savedmodel/saved_model.pb"], 'platform: "tensorflow_savedmodel"'),
        (("fil",), ["1/xgboost.json"], 'backend: "fil"'),
    ],
)
def test_a_minimal_config_is_made(requirements: Sequence[str], files: Sequence[str], line: str) -> None:
    assert triton_config.minimal("iris_2", frozenset(requirements), files) == f'name: "iris_2"\n{line}\n'


def test_why_no_config_can_be_made() -> None:
    with pytest.raises(ValueError, match=r"it has no config\.pbtxt, and the requirements \(triton\) name none of"):
        triton_config.minimal("iris_2", frozenset({"triton"}), ["1/weights.bin"])
