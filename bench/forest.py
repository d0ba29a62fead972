"""A forest of 100 trees from scikit-learn, as it is and compiled to ONNX (`optimize: onnx`).

The call of a model is timed in this process, one row at a time. Requests are asked of two runtimes, which take turns;
both run what waits as one call.
"""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench import _drive, _models, _ours
from bench._drive import Ask
from bench._figures import median, ratio_of
from bench.table import Row, show
from modelyard.runtime.acceleration import check, work
from modelyard.runtime.acceleration.compiled import CompiledModel
from modelyard.runtime.formats.load import Options, load
from modelyard.runtime.model import Model
from modelyard.wire.oip import rest
from modelyard.wire.oip.nouns import InferRequest, Tensor

TITLE = "A forest of 100 trees (scikit-learn), compiled or not: one row"
ROUNDS, SECONDS, CONNECTIONS = 7, 2.0, 16
CALLS = {"native": 30, "compiled": 3000}
REQUEST = InferRequest((Tensor("predict", "FP64", np.random.default_rng(1).normal(size=(1, 20))),))


def run() -> Iterable[Row]:
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder, contextlib.ExitStack() as stack:
        scratch = Path(folder)
        file = _models.forest(scratch / "forest" / "model.joblib")
        yield from _calls(file)
        if lacking := _drive.missing():
            yield Row("requests", lacking)
            return
        yield from _requests(stack, scratch, file)


def _calls(file: Path) -> Iterable[Row]:
    native = load(file.parent, Options(batch=False)).model
    made = work.make(native, file, check.Limits())
    compiled = CompiledModel(native.signature, made.content, made.plan)
    seconds: dict[str, list[float]] = {"native": [], "compiled": []}
    models: dict[str, Model] = {"native": native, "compiled": compiled}
    for turn in range(ROUNDS + 1):
        for name, model in models.items():
            inputs = model.fit(REQUEST)
            begun = time.perf_counter()
            for _ in range(CALLS[name]):
                model.predict(inputs, ["predict"])
            if turn:  # the first round warms up
                seconds[name].append((time.perf_counter() - begun) / CALLS[name])
    ratio = ratio_of(seconds["native"], seconds["compiled"])
    figures = f"{median(seconds['native']) * 1e3:.1f} ms against {median(seconds['compiled']) * 1e6:.0f} µs"
    yield Row("call of the model: native ÷ compiled", f"{ratio:.0f} × ({figures})", "≥ 100 ×", ratio >= 100)


def _requests(stack: contextlib.ExitStack, scratch: Path, file: Path) -> Iterable[Row]:
    body = rest.encode_request(REQUEST).content
    asks: dict[str, Ask] = {}
    for name in CALLS:
        place = scratch / name / "forest"
        place.mkdir(parents=True)
        shutil.copy(file, place)
        server = stack.enter_context(_ours.started(place.parent))
        _ours.load(server, "forest", {"optimize": "onnx"} if name == "compiled" else {})
        if name == "compiled":
            _ours.until_compiled(server, "forest")
        asks[name] = Ask(server.http_port, "/v2/models/forest/infer", body, {"content-type": "application/json"})
    rates: dict[str, list[float]] = {name: [] for name in asks}
    for turn in range(ROUNDS + 1):
        for name, ask in asks.items():
            rate, _ = _drive.requests_per_second(ask, CONNECTIONS, SECONDS, scratch)
            if turn:
                rates[name].append(rate)
    ratio = ratio_of(rates["compiled"], rates["native"])
    figures = f"{median(rates['compiled']):,.0f} against {median(rates['native']):,.0f}"
    yield Row("requests/s at 16 in flight: compiled ÷ native", f"{ratio:.1f} × ({figures})", "≥ 10 ×", ratio >= 10)


if __name__ == "__main__":
    show(TITLE, run())
