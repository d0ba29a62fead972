"""Servers that a user might take instead: how each is installed and started, with the same joblib model of iris."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench import _venvs
from bench._ports import free_ports

HERE = Path(__file__).parent / "peer_servers"
MODEL = "iris"
READY_SECONDS = 120


@dataclass(slots=True)
class Running:
    """`grpc_port` None: it speaks no V2 over gRPC. `process`: the first of possibly several."""

    name: str
    http_port: int
    grpc_port: int | None
    process: psutil.Process
    unix_socket: str = ""  # ours, which speak gRPC over HTTP/1.1 too

    def everything(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        return sum(sum(it.cpu_times()[:2]) for it in self.everything())

    def resident_bytes(self) -> int:
        """Pages that processes share count in parts."""
        return sum(it.memory_full_info().pss for it in self.everything())


@dataclass(frozen=True, slots=True)
class Peer:
    """`command`: with {bin}, {python}, {model}, {http}, {grpc} and {folder} to be filled in."""

    name: str
    requirements: Sequence[str]
    command: Sequence[str]
    grpc: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


MLSERVER = Peer(
    "MLServer",
    ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22"),
    ("{bin}/mlserver", "start", "{folder}"),
    grpc=True,
    environment={
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": "{http}",
        "MLSERVER_GRPC_PORT": "{grpc}",
        "MLSERVER_METRICS_ENDPOINT": "",
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
    },
)
OTHERS = (
    Peer("KServe", ("kserve",), ("{python}", str(HERE / "kserve_iris.py"), "{model}", "{http}", "{grpc}"), grpc=True),
    Peer("LitServe", ("litserve",), ("{python}", str(HERE / "litserve_iris.py"), "{model}", "{http}")),
    Peer(
        "BentoML",
        ("bentoml",),
        (
            "{bin}/bentoml",
            "serve",
            "--working-dir",
            str(HERE),
            "--host",
            "127.0.0.1",
            "--port",
            "{http}",
            "bentoml_iris:Iris",
        ),
        environment={"IRIS_MODEL": "{model}", "BENTOML_DO_NOT_TRACK": "True"},
    ),
    Peer(
        "Ray Serve",
        ("ray[serve]",),
        ("{python}", str(HERE / "ray_iris.py"), "{model}", "{http}"),
        environment={"RAY_USAGE_STATS_ENABLED": "0"},
    ),
)


@contextlib.contextmanager
def started(peer: Peer, model: Path, folder: Path) -> Iterator[Running]:
    """Serving `model` as "iris". Raises `NotInstalled`, also when it does not come up."""
    python = _venvs.python(peer.name.lower().split()[0], (*peer.requirements, *_venvs.SAME_LIBRARIES))
    http, grpc, metrics = free_ports(3)
    values = {"bin": python.parent, "python": python, "model": model, "http": http, "grpc": grpc, "folder": folder}
    environment = {**os.environ, **{key: value.format(**values) for key, value in peer.environment.items()}}
    environment |= {"MLSERVER_METRICS_PORT": str(metrics), "PATH": f"{python.parent}:{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    with (folder / f"{peer.name}.log").open("w+") as log:
        child = subprocess.Popen(
            [it.format(**values) for it in peer.command],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _until_it_answers(http, child, Path(log.name))
            yield Running(peer.name, http, grpc if peer.grpc else None, psutil.Process(child.pid))
        finally:
            _end(child)


def _until_it_answers(http: int, child: "subprocess.Popen[bytes]", log: Path) -> None:
    body = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}'
    url = f"http://127.0.0.1:{http}/v2/models/{MODEL}/infer"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    last = (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
    raise _venvs.NotInstalled(f"does not serve here: {last[:160]}")


def _end(child: "subprocess.Popen[bytes]") -> None:
    """With all that it started."""
    family = psutil.Process(child.pid).children(recursive=True) if child.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        sys.stderr.write("bench: a peer did not end when asked; killing it\n")
    for it in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            it.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
