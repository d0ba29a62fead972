"""The built-in runtime against MLServer and others that a user might take, with the same model of iris.

One row in a request, 16 requests in flight. The servers take turns, round by round, so that noise on the machine meets
all alike; a ratio is the median of the rounds' ratios. CPU per request: CPU time of all processes of a server over the
answers it gave. Ours answers by ONNX, compiled from the very file that the others unpickle (`optimize: onnx`).
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from bench import _drive, _gateway, _models, _ours, _peers, _venvs
from bench._drive import JSON, Ask
from bench._figures import median, ratio_of
from bench._peers import MODEL, Running
from bench.table import Row, show
from modelyard.wire.oip import grpc as oip
from modelyard.wire.oip.nouns import InferRequest, Tensor

TITLE = "The built-in runtime and its peers: iris, one row, 16 in flight"
ROUNDS, SECONDS, CONNECTIONS = int(os.environ.get("MODELYARD_BENCH_ROUNDS", "5")), 2.0, 16
REST, GRPC = "REST", "gRPC"
DIRECT, GATEWAY = "direct", "behind Envoy"
OURS, NATIVE, MLSERVER = "ours", "ours, scikit-learn", "MLServer"
BODY = b'{"inputs":[{"name":"predict","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}'
METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(slots=True)
class _Course:
    """One way to ask one server."""

    server: Running
    ask: Ask
    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def run(self, scratch: Path, *, count: bool) -> None:
        before = self.server.cpu_seconds()
        rate, answers = _drive.requests_per_second(self.ask, CONNECTIONS, SECONDS, scratch)
        used = self.server.cpu_seconds() - before
        if count:
            self.per_second.append(rate)
            self.cpu_us.append(used / answers * 1e6)


def run() -> Iterable[Row]:
    if lacking := _drive.missing():
        yield Row("this bench", lacking)
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder, contextlib.ExitStack() as stack:
        scratch = Path(folder)
        model = _models.iris(scratch / "iris.joblib")
        compiled, native = _our_servers(stack, scratch, model)
        try:
            mlserver = _mlserver(stack, scratch, model)
        except _venvs.NotInstalled as reason:
            yield Row(MLSERVER, f"left out: it {reason}")
            return
        courses = _courses(stack, {OURS: compiled, NATIVE: native, MLSERVER: mlserver})
        _take_turns(courses.values(), scratch)
        yield from _against_mlserver(courses)
        yield from _memory(native, mlserver)
        yield from _others(scratch, model, courses[OURS, REST, DIRECT])


def _our_servers(stack: contextlib.ExitStack, scratch: Path, model: Path) -> tuple[Running, Running]:
    found: list[Running] = []
    for name in ("compiled", "native"):
        place = scratch / name / MODEL
        place.mkdir(parents=True)
        shutil.copy(model, place / "model.joblib")
        server = stack.enter_context(_ours.started(place.parent))
        _ours.load(server, MODEL, {"optimize": "onnx"} if name == "compiled" else {})
        found.append(server)
    _ours.until_compiled(found[0], MODEL)
    return found[0], found[1]


def _mlserver(stack: contextlib.ExitStack, scratch: Path, model: Path) -> Running:
    folder = scratch / "mlserver"
    folder.mkdir()
    _models.for_mlserver(folder, MODEL, model)
    return stack.enter_context(_peers.started(_peers.MLSERVER, model, folder))


def _courses(stack: contextlib.ExitStack, servers: Mapping[str, Running]) -> dict[tuple[str, str, str], _Course]:
    found: dict[tuple[str, str, str], _Course] = {}
    names = {name: f"server-{place}" for place, name in enumerate(servers)}
    endpoints = {names[name]: _ours.endpoint(server) for name, server in servers.items()}
    gateway, _ = stack.enter_context(_gateway.started(endpoints, MODEL))
    rows = Tensor("predict", "FP64", np.array([_models.FLOWER]))
    message = oip.encode_request(InferRequest((rows,), model=MODEL)).SerializeToString()
    path = f"/v2/models/{MODEL}/infer"
    for name, server in servers.items():
        routed = {"seldon-model": names[name]}
        _check(gateway, routed, message)
        _check(_port(server), {}, message)
        found[name, REST, DIRECT] = _Course(server, Ask(server.http_port, path, BODY, JSON))
        direct = Ask(_port(server), METHOD, message, grpc=True)
        if server.unix_socket:  # as Envoy asks it: over HTTP/1.1
            direct = Ask(server.http_port, METHOD, _drive.frame(message), _drive.GRPC)
        found[name, GRPC, DIRECT] = _Course(server, direct)
        found[name, REST, GATEWAY] = _Course(server, Ask(gateway, path, BODY, {**JSON, **routed}))
        found[name, GRPC, GATEWAY] = _Course(server, Ask(gateway, METHOD, message, routed, grpc=True))
    return found


def _port(server: Running) -> int:
    assert server.grpc_port is not None
    return server.grpc_port


def _check(port: int, metadata: Mapping[str, str], message: bytes) -> None:
    """h2load does not read the status of a call: one is made here first, and its answer looked at."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask: Any = channel.unary_unary(METHOD, response_deserializer=oip.InferResponseMessage.FromString)
        answer = oip.decode_response(ask(message, metadata=tuple(metadata.items()), timeout=30))
    assert answer.outputs[0].data.reshape(-1).tolist() == [0], answer


def _take_turns(courses: Iterable[_Course], scratch: Path) -> None:
    mine = list(courses)
    for turn in range(ROUNDS + 1):
        for course in mine if turn % 2 else reversed(mine):
            course.run(scratch, count=turn > 0)  # the first round warms up


def _against_mlserver(courses: Mapping[tuple[str, str, str], _Course]) -> Iterable[Row]:
    for way, target in ((GATEWAY, 10), (DIRECT, 30)):
        for protocol in (REST, GRPC):
            ours, native, theirs = (courses[name, protocol, way] for name in (OURS, NATIVE, MLSERVER))
            what = f"{protocol} requests/s, {way}"
            figures = f"{median(ours.per_second):,.0f} against {median(theirs.per_second):,.0f}"
            ratio = ratio_of(ours.per_second, theirs.per_second)
            yield Row(f"{what}: ours ÷ MLServer", f"{ratio:.1f} × ({figures})", f"≥ {target} ×", ratio >= target)
            plain = ratio_of(native.per_second, theirs.per_second)
            yield Row(f"{what}: ours, not compiled ÷ MLServer", f"{plain:.1f} × ({median(native.per_second):,.0f})")
    ratio = ratio_of(courses[OURS, GRPC, GATEWAY].per_second, courses[OURS, REST, GATEWAY].per_second)
    yield Row("gRPC ÷ REST, ours behind Envoy", f"{ratio:.2f}", "≥ 0.9", ratio >= 0.9)
    for protocol in (REST, GRPC):
        ours, theirs = (courses[name, protocol, GATEWAY] for name in (OURS, MLSERVER))
        share = ratio_of(theirs.cpu_us, ours.cpu_us)
        figures = f"{median(ours.cpu_us):.0f} against {median(theirs.cpu_us):.0f} µs"
        what = f"CPU per {protocol} request in the server, behind Envoy: MLServer ÷ ours"
        yield Row(what, f"{share:.1f} × ({figures})", "≥ 20 ×", share >= 20)


def _memory(ours: Running, mlserver: Running) -> Iterable[Row]:
    share = ours.resident_bytes() / mlserver.resident_bytes()
    figures = f"{ours.resident_bytes() / 2**20:.0f} against {mlserver.resident_bytes() / 2**20:.0f} MiB"
    yield Row("memory with one scikit-learn model: ours ÷ MLServer", f"{share:.2f} ({figures})", "≤ 0.5", share <= 0.5)


def _others(scratch: Path, model: Path, ours: _Course) -> Iterable[Row]:
    """One after the other, each in turns with ours: side by side they would not leave one another the machine."""
    for peer in _peers.OTHERS:
        try:
            with _peers.started(peer, model, scratch) as server:
                ours.per_second.clear()
                theirs = _Course(server, Ask(server.http_port, ours.ask.path, BODY, JSON))
                _take_turns((ours, theirs), scratch)
                ratio = ratio_of(ours.per_second, theirs.per_second)
                memory = server.resident_bytes() / 2**20
                figures = f"{median(ours.per_second):,.0f} against {median(theirs.per_second):,.0f}; {memory:.0f} MiB"
                yield Row(f"REST requests/s, direct: ours ÷ {peer.name}", f"{ratio:.1f} × ({figures})")
        except (_venvs.NotInstalled, RuntimeError) as reason:
            yield Row(peer.name, f"left out: {reason}")


if __name__ == "__main__":
    show(TITLE, run())
