"""MLServer and Triton for tests: installed on first use into the cache of this user, and models for them."""

import asyncio
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from modelyard.kit.errors import Refused
from modelyard.run import recipes
from modelyard.run.environments import Environments, same_libraries
from modelyard.run.programs import Program, Programs

# Installing them takes a minute or two where nobody did yet.
INSTALL_SECONDS = 900

TRITON_MODEL = """
import {imports}
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        def answer(request):
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            return pb_utils.InferenceResponse([pb_utils.Tensor("y", x)])

        return [answer(it) for it in requests]
"""
TRITON_CONFIG = """
name: "as-its-author-called-it"
backend: "python"
input [ {{ name: "x" data_type: TYPE_FP32 dims: [ -1, 4 ] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [ -1, 4 ] }} ]
instance_group [ {{ kind: KIND_CPU count: {instances} }} ]
"""
MLSERVER_MODEL = """
import time

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Echo(MLModel):
    async def load(self):
        time.sleep({seconds})  # in the thread that serves, as loads do
        return {ready}

    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        y = NumpyCodec.encode_output("y", x + float(self.settings.parameters.extra["plus"]))
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[y])

    async def predict_stream(self, payloads):
        async for payload in payloads:
            yield await self.predict(payload)
"""


def program(config: str) -> Program:
    """What a server runs from. Outside an event loop. Skips where this machine has no Python that will do."""
    recipe = recipes.triton() if config == "triton" else recipes.mlserver(same_libraries())
    try:
        asyncio.run(Environments().make(recipe, lambda _: None))
    except Refused as error:
        pytest.skip(str(error))
    found = Programs().found(config)
    assert found is not None
    return found


def write_iris(folder: Path) -> Path:
    """A classifier that says [0, 2] of `yard.IRIS`, in a file that MLServer would not find by itself."""
    folder.mkdir(parents=True)
    rows, classes = load_iris(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=500).fit(rows, classes), folder / "iris.joblib")
    return folder


def write_echo(folder: Path, *, ready: bool = True, seconds: float = 0) -> Path:
    """A class for MLServer that answers its input plus the parameter `plus`, and takes so long to load."""
    folder.mkdir(parents=True)
    (folder / "echo.py").write_text(MLSERVER_MODEL.format(ready=ready, seconds=seconds))
    return folder


def write_identity(folder: Path, *, instances: int = 1, imports: str = "json") -> Path:
    """A Python model for Triton that answers its input, in numbered folders of which the first is broken."""
    for number, needs in (("1", "no_such_package"), ("3", imports)):
        (folder / number).mkdir(parents=True)
        (folder / number / "model.py").write_text(TRITON_MODEL.format(imports=needs))
    (folder / "config.pbtxt").write_text(TRITON_CONFIG.format(instances=instances))
    return folder
