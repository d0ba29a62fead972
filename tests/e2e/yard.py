"""A whole system for a test: started by the real command, with its own state directory, home and ports."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from modelyard import Client, ModelyardError
from modelyard.domain.status import ReplicaState
from modelyard.run import down, lock, ports, processes, system
from modelyard.run.system import Part, System

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODELYARD = Path(sys.executable).with_name("modelyard")
DEADLINE_SECONDS = 60.0
IRIS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)
IRIS_CLASSES = [0, 2]


class Yard:
    """`home` is a scratch directory; the state is in `home/state`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state_dir = home / "state"
        self.port_base = free_port_base()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")},
            "XDG_STATE_HOME": str(home / "xdg"),
            "NO_COLOR": "1",
        }

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """One `modelyard` command, whatever its exit code."""
        return subprocess.run(
            [str(MODELYARD), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS * 2,
            cwd=cwd or self.home,
            env={**self.environment, "MODELYARD_STATE_DIR": str(self.state_dir), **environment},
        )

    def do(self, *arguments: str, cwd: Path | None = None) -> str:
        """A command that must succeed; its output."""
        done = self.run(*arguments, cwd=cwd)
        assert done.returncode == 0, f"modelyard {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, *flags: str) -> str:
        return self.do("up", "--detach", "--port-base", str(self.port_base), *flags)

    def down(self) -> str:
        return self.do("down")

    def client(self) -> Client:
        return Client(state_dir=self.state_dir)

    def system(self) -> System:
        found = system.read(self.state_dir)
        assert found is not None, "no system.json"
        return found

    def known_parts(self) -> tuple[Part, ...]:
        found = system.read(self.state_dir)
        return found.parts if found else ()

    def part(self, name: str) -> Part:
        return next(part for part in self.system().parts if part.name == name)

    def kill(self, name: str) -> Part:
        """kill -9 one part; returns it as it was."""
        part = self.part(name)
        os.kill(part.pid, signal.SIGKILL)
        return part

    def until_restarted(self, before: Part) -> Part:
        def again() -> bool:
            return any(it.name == before.name and it.pid != before.pid for it in self.system().parts)

        until(again, f"{before.name} runs again")
        return self.part(before.name)

    def until_whole(self, client: Client, replicas: int = 2) -> None:
        """A gateway and all replicas are connected."""

        def whole() -> bool:
            try:
                gateways = [it for it in client.status().gateways if it.connected]
                states = [it.state for server in client.servers() for it in server.replicas]
            except ModelyardError:
                return False
            return len(gateways) == 1 and states == [ReplicaState.CONNECTED] * replicas

        until(whole, "a gateway and all replicas are connected")

    def log(self, name: str) -> str:
        return (self.state_dir / "logs" / f"{name}.log").read_text()

    def end(self) -> None:
        """For fixtures: whatever happened, nothing goes on."""
        down.down(self.state_dir)


def free_port_base() -> int:
    # Test runs beside this one begin their search elsewhere.
    for base in range(23000 + os.getpid() % 300 * 20, 31000, 20):
        fixed = ports.fixed_ports(base)
        if all(map(ports.is_free, (fixed.gateway, fixed.xds, fixed.scheduler, fixed.agents))):
            return base
    raise AssertionError("no free ports")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what}"
        time.sleep(0.05)


def assert_nothing_left(yard: Yard, before: System) -> None:
    """No process, port, lock or socket of a system that ran; its state is still there."""
    alive = [part.name for part in before.parts if part.process.is_alive()]
    assert not alive
    assert not before.process.is_alive()
    strays = [it.pid for it in processes_of(yard.state_dir)]
    assert not strays
    fixed = ports.fixed_ports(before.port_base)
    held = [it for it in (fixed.gateway, fixed.xds, fixed.scheduler, fixed.agents) if not ports.is_free(it)]
    held += [port for part in before.parts for port in part.ports.values() if not ports.is_free(port)]
    assert not held
    assert lock.holder(yard.state_dir) is None
    assert not (yard.state_dir / "up.lock").exists()
    assert not (yard.state_dir / "system.json").exists()
    assert not list((yard.home / "xdg").rglob("running/*"))
    assert not [path for path in yard.home.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)]


def processes_of(state_dir: Path) -> list[processes.ProcessId]:
    """Processes whose command line names the state directory."""
    found = [
        processes.ProcessId(process.pid, process.info["create_time"])
        for process in psutil.process_iter(["cmdline", "create_time"])
        if any(str(state_dir) in word for word in process.info["cmdline"] or ())
    ]
    return [it for it in found if it.is_alive()]


def load_iris(client: Client, name: str, *, replicas: int = 1) -> None:
    client.load(name, str(EXAMPLES / "models" / "iris-onnx"), requires=["onnx"], memory="1Mi", replicas=replicas)
    client.wait(name, timeout_seconds=DEADLINE_SECONDS)


def classes(client: Client, name: str, protocol: str) -> list[int]:
    answer = client.infer(name, {"X": IRIS}, protocol=protocol)  # type: ignore[arg-type]
    return [int(it) for it in np.ravel(next(iter(answer.outputs.values())))]


class Traffic:
    """Requests that go on, one after the other and each on its own, by REST and gRPC in turn."""

    def __init__(self, yard: Yard, names: Sequence[str]) -> None:
        self.failures: list[str] = []
        self.answers = 0
        self._yard = yard
        self._names = names
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, name="traffic")

    def _send(self) -> None:
        with self._yard.client() as client:
            while not self._stop.is_set():
                for name in self._names:
                    for protocol in ("rest", "grpc"):
                        try:
                            assert classes(client, name, protocol) == IRIS_CLASSES
                            self.answers += 1
                        except Exception as error:  # whatever it is, the test is to name it
                            self.failures.append(f"{name} over {protocol}: {type(error).__name__}: {error}")
                self._stop.wait(0.005)

    def until_more(self, count: int = 20) -> None:
        goal = self.answers + count
        until(lambda: self.answers >= goal, f"{count} more answers (failures: {self.failures[:3]})")

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def running(home: Path, *flags: str) -> Iterator[Yard]:
    yard = Yard(home)
    try:
        yard.up(*flags)
        yield yard
    finally:
        yard.end()
