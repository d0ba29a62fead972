"""Classes of users' as models: how they are given their tensors, and what their answers become."""

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import ModelFailed
from modelyard.runtime.formats.load import Options, load
from modelyard.runtime.formats.settings import OURS
from modelyard.runtime.model import Model, StreamingModel
from modelyard.wire.oip import raw
from modelyard.wire.oip.loading import LoadOrder
from modelyard.wire.oip.nouns import InferRequest, Tensor

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """The folder of a model whose `model.py` is this; further files by name."""

    def write(code: str, folder: str = "m", **files: str) -> Path:
        made = tmp_path / folder
        made.mkdir()
        for name, content in {"model.py": code, **files}.items():
            path = made / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(content))
        return made

    return write


def loaded(folder: Path, **parameters: str) -> Model:
    return load(folder, Options(), LoadOrder(parameters=parameters)).model


def rows(*values: float, name: str = "x") -> Tensor:
    return Tensor(name, "FP64", np.array(values))


def words(*values: str, name: str = "x", content_type: str | None = None) -> Tensor:
    data = raw.of_bytes(it.encode() for it in values)
    return Tensor(name, "BYTES", data, {"content_type": content_type} if content_type else {})


def ask(model: Model, *tensors: Tensor, outputs: tuple[str, ...] = (), **parameters: Any) -> dict[str, list[Any]]:
    found = model.predict(model.fit(InferRequest(tensors, parameters=parameters)), outputs)
    return {it.name: it.data.tolist() for it in found}


@pytest.mark.parametrize(
    ("code", "tensors", "answer"),
    [
        pytest.param("def predict(self, x): return x * 2", [rows(1, 2)], {"predict": [2, 4]}, id="an array"),
        pytest.param(
            "def predict(self, x): return {'sum': x['a'] + x['b']}",
            [rows(1, name="a"), rows(2, name="b")],
            {"sum": [3]},
            id="several tensors are a dict",
        ),
        pytest.param(
            "def predict(self, x: 'dict[str, np.ndarray]'): return x",
            [rows(1, name="a")],
            {"a": [1]},
            id="a dict, told",
        ),
        pytest.param(
            "def predict(self, a, b): return a - b",
            [rows(1, name="b"), rows(3, name="a")],
            {"predict": [2]},
            id="by name",
        ),
        pytest.param("def predict(self, **given): return given", [rows(1, name="b")], {"b": [1]}, id="any names"),
        pytest.param("def predict(self, x: list[float]): return sum(x)", [rows(1, 2)], {"predict": [3]}, id="a list"),
        pytest.param(
            "def predict(self, x): return [it.upper() for it in x]",
            [words("é")],
            {"predict": ["É".encode()]},
            id="text",
        ),
        pytest.param(
            "def predict(self, x): return [type(it).__name__ for it in x]",
            [words("a", content_type="np")],
            {"predict": [b"bytes"]},
            id="bytes, told",
        ),
        pytest.param("def predict(self, x): return 'done'", [rows(1)], {"predict": [b"done"]}, id="a single text"),
        pytest.param(
            "async def predict(self, x):\n        import asyncio\n        await asyncio.sleep(0)\n        return x + 1",
            [rows(1)],
            {"predict": [2]},
            id="a coroutine",
        ),
        pytest.param(
            "def predict(self, x: 'pd.DataFrame'): return x.assign(c=x['a'] * 2)",
            [rows(1, 2, name="a"), words("q", "r", name="b")],
            {"a": [[1], [2]], "b": [[b"q"], [b"r"]], "c": [[2], [4]]},
            id="a DataFrame",
        ),
        pytest.param(
            "def predict(self, x):\n        yield x\n        yield x + 1",
            [rows(1)],
            {"predict": [1, 2]},
            id="a stream, for who wants one answer",
        ),
    ],
)
def test_a_method_is_given_what_it_asks_for(write: Write, code: str, tensors: list[Tensor], answer: Any) -> None:
    model = loaded(write(f"class Anything:\n    {code}\n"))
    assert ask(model, *tensors) == answer


def test_a_table_is_a_frame_where_the_settings_say_so(write: Write) -> None:
    code = "class M:\n    def predict(self, x): return x.dtypes.astype(str).to_dict()\n"
    settings = '{"content_type": "pd", "inputs": [{"name": "a", "datatype": "INT64"}, {"name": "b"}]}'
    model = loaded(write(code, **{OURS: settings}))
    found = ask(model, rows(1, name="a"), words("x", name="b"))
    assert found == {"a": [b"int64"], "b": [b"str"]}
    assert [(it.name, it.datatype) for it in model.signature.inputs] == [("a", "INT64"), ("b", "FP64")]


LOADED = """
    from pathlib import Path

    class Model:
        def __init__(self, depth: int = 1, flag: bool = False):
            self.depth, self.flag = depth, flag

        {load} load(self, folder: Path, rate: float, name, **rest):
            self.found = [(folder / "weights.txt").read_text(), rate, name, self.depth, self.flag, rest]

        def predict(self, x):
            return [repr(it) for it in self.found]
"""


@pytest.mark.parametrize("load", ["def", "async def"])
def test_constructor_and_load_are_given_the_parameters_that_they_name(write: Write, load: str) -> None:
    settings = '{"parameters": {"name": "from the settings", "rate": 1, "more": [1]}}'
    folder = write(LOADED.format(load=load), **{"weights.txt": "w", OURS: settings})
    found = ask(loaded(folder, depth="3", flag="True", rate="0.5"), rows(1))["predict"]
    assert found[:5] == [b"'w'", b"0.5", b"'from the settings'", b"3", b"True"]
    assert b"'more': [1]" in found[5]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "class M:\n    def __init__(self, depth: int): ...\n    def predict(self, x): ...",
            "M() needs the parameter 'depth'",
        ),
        ("class M:\n    def load(self): return False\n    def predict(self, x): ...", "M.load returned False"),
        ("class M:\n    def load(self): 1 / 0\n    def predict(self, x): ...", "M cannot be loaded: ZeroDivisionError"),
        (
            "class M:\n    def load(self): raise SystemExit(3)\n    def predict(self, x): ...",
            "cannot be loaded: SystemExit",
        ),
        ("class M:\n    def predict(self): ...", "M.predict takes no input"),
        ("class M: ...", "model.py has no class with a method 'predict' or 'predict_stream'"),
        ("x = ", "model cannot be imported: SyntaxError"),
        ("import exit_now", "model needs the Python package 'exit_now', which is not installed"),
        ("raise SystemExit(3)", "model cannot be imported: SystemExit: 3"),
        (
            "class A:\n    def predict(self, x): ...\nclass B:\n    def predict(self, x): ...",
            'could be the model (A, B); name one in modelyard-model.json: {"implementation": "model.A"}',
        ),
        (
            "from mlserver import MLModel\nclass M(MLModel): ...",
            "model.py is written for MLServer: give it to an MLServer",
        ),
    ],
)
def test_what_is_wrong_with_a_class_is_one_sentence(write: Write, code: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        loaded(write(code))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("implementation", "says"),
    [
        ("model.Other", "names no class: model has no class Other"),
        ("other.Model", "there is no module other in its folder, nor is one installed"),
        ("Model", "must be a module and a class"),
        (
            "mlserver_huggingface.HuggingFaceRuntime",
            "is MLServer's, and this server has nothing like it: give it to an",
        ),
    ],
)
def test_a_wrong_implementation_is_one_sentence(write: Write, implementation: str, says: str) -> None:
    settings = f'{{"implementation": "{implementation}"}}'
    with pytest.raises(InvalidInput) as refused:
        loaded(write("class Model: ...", **{"model-settings.json": settings}))
    assert says in str(refused.value)


def test_a_wrong_parameter_is_named(write: Write) -> None:
    folder = write("class M:\n    def __init__(self, depth: int): ...\n    def predict(self, x): ...")
    with pytest.raises(InvalidInput, match=r"M\(\) takes the parameter 'depth' as int, and 'deep' is none"):
        loaded(folder, depth="deep")


@pytest.mark.parametrize(
    ("code", "tensors", "error", "says"),
    [
        ("def predict(self, a, b): ...", [rows(1, name="a")], InvalidInput, "'b' is missing; the inputs are a, b"),
        ("def predict(self, a, b=1): ...", [rows(1, name="a"), rows(1, name="c")], InvalidInput, "'b' is missing"),
        (
            "def predict(self, x: 'np.ndarray'): ...",
            [rows(1, name="a"), rows(1, name="c")],
            InvalidInput,
            "it got 2: a, c",
        ),
        ("def predict(self, x): ...", [rows(1)], ModelFailed, "the model returned nothing"),
        ("def predict(self, x): return {'a': object()}", [rows(1)], None, ""),
        (
            "def predict(self, x): return [[1], [1, 2]]",
            [rows(1)],
            ModelFailed,
            "the output 'predict' of the model is no",
        ),
        (
            "def predict(self, x):\n        yield [[1]]\n        yield [[1, 2]]",
            [rows(1)],
            ModelFailed,
            "ask for a stream",
        ),
    ],
)
def test_who_is_to_blame_for_a_wrong_call(write: Write, code: str, tensors: Any, error: Any, says: str) -> None:
    model = loaded(write(f"class M:\n    {code}\n"))
    if error is None:
        assert list(ask(model, *tensors)) == ["a"]
        return
    with pytest.raises(error, match=says):
        ask(model, *tensors)


def test_outputs_are_chosen_by_name(write: Write) -> None:
    model = loaded(write("class M:\n    def predict(self, x): return {'a': x, 'b': -x, 'c': x}\n"))
    assert ask(model, rows(1), outputs=("b", "a")) == {"b": [-1], "a": [1]}
    with pytest.raises(InvalidInput, match="output 'd' is not an output of the model; the outputs are a, b, c"):
        ask(model, rows(1), outputs=("d",))


def test_settings_name_the_outputs_of_a_tuple(write: Write) -> None:
    settings = '{"outputs": [{"name": "low", "datatype": "FP64", "shape": [-1]}, {"name": "high"}]}'
    model = loaded(write("class M:\n    def predict(self, x): return x - 1, x + 1\n", **{OURS: settings}))
    assert ask(model, rows(1)) == {"low": [0], "high": [2]}
    assert model.signature.usual == ("low", "high")


STREAMS = {
    "a generator": "def predict(self, x):\n        for i in range(int(x[0])): yield [i]",
    "an asynchronous generator": "async def predict(self, x):\n        for i in range(int(x[0])): yield [i]",
    "predict_stream beside predict": (
        "def predict(self, x): return x\n"
        "    async def predict_stream(self, x):\n        for i in range(int(x[0])): yield [i]"
    ),
    "predict_stream alone": "def predict_stream(self, x):\n        return iter([[i] for i in range(int(x[0]))])",
}


@pytest.mark.parametrize("code", STREAMS.values(), ids=STREAMS.keys())
def test_parts_are_streamed_as_they_come(write: Write, code: str) -> None:
    model = loaded(write(f"class M:\n    {code}\n"))
    assert isinstance(model, StreamingModel)
    parts = model.stream(model.fit(InferRequest((rows(3),))), ())
    assert [part[0].data.tolist() for part in parts] == [[0], [1], [2]]


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_stream_that_is_closed_ends_the_users_generator(write: Write, prefix: str) -> None:
    model = loaded(
        write(
            f"""
            class M:
                ended = []
                {prefix}def predict(self, x):
                    try:
                        while True: yield x
                    finally:
                        self.ended.append(1)
            """
        )
    )
    assert isinstance(model, StreamingModel)
    parts = model.stream(model.fit(InferRequest((rows(3),))), ())
    next(iter(parts))
    parts.close()  # type: ignore[attr-defined]
    assert model._instance.ended == [1]  # type: ignore[attr-defined]


def test_a_model_that_is_not_for_streams_is_none(write: Write) -> None:
    assert not isinstance(loaded(write("class M:\n    def predict(self, x): return x\n")), StreamingModel)


def test_two_models_with_the_same_module_names_do_not_meet(write: Write) -> None:
    code = """
        import helper
        from package import deep
        from package.deep import NAME as again

        class Model:
            def predict(self, x):
                import late
                from . import helper as mine
                return [helper.NAME, deep.NAME, again, late.NAME, mine.NAME]
        """

    def files(name: str) -> dict[str, str]:
        own = f"NAME = '{name}'"
        deep = {"package/__init__.py": "", "package/deep.py": "from ..helper import NAME"}
        return {"helper.py": own, "late.py": own, "numpy.txt": "", **deep}

    models = [loaded(write(code, folder=name, **files(name))) for name in ("a", "b")]
    for name, model in zip(("a", "b"), models, strict=True):
        assert ask(model, rows(1)) == {"predict": [name.encode()] * 5}
    assert {"helper", "late", "package", "model"}.isdisjoint(sys.modules)


def test_what_is_unloaded_is_forgotten(write: Write) -> None:
    folder = write("class M:\n    async def predict(self, x): return x\n")
    model = loaded(folder)
    ask(model, rows(1))
    gone, before = weakref.ref(model), threading.active_count()
    assert any(it.startswith("_modelyard_model_") for it in sys.modules)
    del model
    gc.collect()
    assert gone() is None
    assert not any(it.startswith("_modelyard_model_") for it in sys.modules)
    for thread in threading.enumerate():
        if thread.name == "async model":
            thread.join(20)
    assert threading.active_count() < before
    assert not (folder / "__pycache__").exists()


def test_code_is_not_run_where_pickles_are_refused(write: Write, tmp_path: Path) -> None:
    folder = write(f"open('{tmp_path}/ran', 'w')\nclass M:\n    def predict(self, x): ...\n")
    with pytest.raises(InvalidInput, match=r"model\.py is Python code: not allowed here \(--no-pickle\)"):
        load(folder, Options(pickle=False))
    assert not (tmp_path / "ran").exists()


def test_missing_packages_are_listed_in_one_sentence(write: Write) -> None:
    wanted = (
        "numpy>=99\n# a comment\n--extra-index-url https://example.org\nnot-there~=1.0\nnope; python_version < '3'\n"
    )
    folder = write("class M:\n    def predict(self, x): ...\n", **{"requirements.txt": wanted})
    with pytest.raises(InvalidInput) as refused:
        loaded(folder)
    assert (
        "its requirements.txt asks for Python packages that are not here: "
        f"numpy>=99 (installed is {np.__version__}), not-there~=1.0; nothing is installed by itself"
    ) in str(refused.value)
