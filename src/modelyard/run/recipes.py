"""What has to be installed for an inference server that is not ours, and for which Pythons there is that. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from modelyard.domain.server_configs import MLSERVER, TRITON


@dataclass(frozen=True, slots=True)
class Recipe:
    """`steps`: the arguments of each `pip install`. `modules` are there once all are done. `pythons`: the lowest and
    the highest that will do. `flag`: how a user names an installation of their own instead."""

    config: str
    title: str
    steps: tuple[tuple[str, ...], ...]
    modules: tuple[str, ...]
    pythons: tuple[tuple[int, int], tuple[int, int]]
    megabytes: int
    capabilities: tuple[str, ...]
    flag: str

    def key(self, python: tuple[int, int]) -> str:
        """The name of the environment's folder: another one for whatever could make it differ."""
        content = repr((self.steps, python)).encode()
        return f"{self.config}-py{python[0]}.{python[1]}-{hashlib.sha256(content).hexdigest()[:10]}"

    def fits(self, python: tuple[int, int]) -> bool:
        return self.pythons[0] <= python <= self.pythons[1]


# By capability, the module of the runtime that MLServer needs for it. `huggingface` and `mlflow` bring gigabytes: for
# these a user names an environment of their own.
MLSERVER_MODULES: Mapping[str, str] = {
    "alibi-detect": "mlserver_alibi_detect",
    "alibi-explain": "mlserver_alibi_explain",
    "huggingface": "mlserver_huggingface",
    "lightgbm": "mlserver_lightgbm",
    "mlflow": "mlserver_mlflow",
    "sklearn": "mlserver_sklearn",
    "spark-mlib": "mlserver_mllib",
    "xgboost": "mlserver_xgboost",
}
# By capability, the folder among Triton's backends.
TRITON_BACKENDS: Mapping[str, str] = {
    "dali": "dali",
    "fil": "fil",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "python": "python",
    "pytorch": "pytorch",
    "tensorflow": "tensorflow",
    "tensorrt": "tensorrt",
}

_MLSERVER = "1.7.1"
_PYTRITON = "0.7.0"


def mlserver(same: Mapping[str, str]) -> Recipe:
    """`same`: the versions of libraries beside us, by package: a model must be loaded by what it was trained with."""

    def pinned(package: str) -> str:
        return f"{package}=={same[package]}" if package in same else package

    return Recipe(
        config=MLSERVER,
        title=f"MLServer {_MLSERVER}",
        steps=(
            (
                f"mlserver=={_MLSERVER}",
                f"mlserver-sklearn=={_MLSERVER}",
                f"mlserver-lightgbm=={_MLSERVER}",
                pinned("scikit-learn"),
                pinned("lightgbm"),
                pinned("xgboost-cpu"),
                "uvloop<0.22",  # with a newer one no model loads in parallel workers
            ),
            # By itself it would bring 470 MB of libraries for GPUs.
            ("--no-deps", f"mlserver-xgboost=={_MLSERVER}"),
        ),
        modules=("mlserver", "mlserver_sklearn", "mlserver_lightgbm", "mlserver_xgboost", "xgboost"),
        pythons=((3, 9), (3, 12)),
        megabytes=600,
        capabilities=("mlserver", "lightgbm", "python", "sklearn", "xgboost"),
        flag="--mlserver-python",
    )


def triton() -> Recipe:
    return Recipe(
        config=TRITON,
        title=f"Triton (nvidia-pytriton {_PYTRITON})",
        steps=((f"nvidia-pytriton=={_PYTRITON}",),),
        modules=("pytriton", "numpy"),
        pythons=((3, 9), (3, 13)),
        megabytes=370,
        capabilities=("triton", "python"),
        flag="--triton-binary",
    )


SAME_LIBRARIES = ("scikit-learn", "lightgbm", "xgboost-cpu")
