"""The kinds of inference servers: what `serverConfig` of a Server manifest, and an agent's `--server-type`, may be."""

from collections.abc import Mapping

MODELYARD = "modelyard"  # the built-in runtime
MLSERVER = "mlserver"
TRITON = "triton"
SERVER_CONFIGS = (MLSERVER, MODELYARD, TRITON)


def server_config_problem(name: str) -> str | None:
    """Why there is no such server; None where there is."""
    return None if name in SERVER_CONFIGS else f"there is no serverConfig {name!r}: use {', '.join(SERVER_CONFIGS)}"


# What the reference's images of these servers hold.
FULL_CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    MLSERVER: (
        "mlserver",
        "alibi-detect",
        "alibi-explain",
        "huggingface",
        "lightgbm",
        "mlflow",
        "python",
        "sklearn",
        "spark-mlib",
        "xgboost",
    ),
    TRITON: ("triton", "dali", "fil", "onnx", "openvino", "python", "pytorch", "tensorflow", "tensorrt"),
}
