"""`make demo`: a whole Modelyard on this machine, real models, real requests, and everything stopped again.

It uses the installed package, a temporary state directory and free ports: a system that is running is not disturbed.
Exit code 0 when every answer was right, else 1 with the reason; Ctrl-C stops everything too.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from train_models import Example, save_sklearn, train_all

from modelyard import Client, ModelyardError
from modelyard.run import ports, system

MODELS = Path(__file__).resolve().parent / "models"
MODELYARD = Path(sys.executable).with_name("modelyard")
ROWS = 5
# Native scikit-learn computes in float64, ONNX in float32.
TOLERANCE = 1e-3

Protocol = Literal["rest", "grpc"]


class DemoFailed(Exception):
    """The reason, in a sentence."""


def main() -> int:
    # So that `kill` stops everything as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="modelyard-demo-") as scratch:
        state_dir = Path(scratch) / "state"
        started = time.monotonic()
        try:
            show(Path(scratch), state_dir)
        except KeyboardInterrupt:
            print("\nInterrupted: stopping everything.", file=sys.stderr)
            return 130
        except (DemoFailed, ModelyardError) as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
        finally:
            stop(state_dir)
    print(f"\nDone in {time.monotonic() - started:.0f} s: every answer was right, and nothing is left running.")
    return 0


def show(scratch: Path, state_dir: Path) -> None:
    say("Training scikit-learn models on iris, breast cancer and diabetes; their ONNX twins are bundled")
    examples = train_all()
    folders = {
        **{f"{name}-sklearn": save_sklearn(example, scratch / "models") for name, example in examples.items()},
        **{f"{name}-onnx": MODELS / f"{name}-onnx" for name in examples},
    }

    base = free_port_base()
    say(f"modelyard up --detach --replicas 2 --port-base {base}")
    up_at = time.monotonic()
    run("up", "--detach", "--replicas", "2", "--port-base", str(base), "--state-dir", str(state_dir))
    running = system.find(state_dir)
    with Client(state_dir=state_dir) as client:
        load(client, folders)
        first_answer(client, examples["iris"], up_at)
        say("Where the models are")
        for server in client.servers():
            for replica in server.replicas:
                held = ", ".join(sorted(str(model.version) for model in replica.models))
                print(f"  {replica.replica}: {held}")
        for name, example in examples.items():
            say(f"{name}: {ROWS} rows that training has not seen, to both formats over REST and gRPC")
            ask(client, example)
        forget(client, list(folders))
    say("modelyard down")
    run("down", "--state-dir", str(state_dir))
    left = [part.name for part in running.parts if part.process.is_alive()]
    if left or running.process.is_alive():
        raise DemoFailed(f"still running after `modelyard down`: {', '.join(left) or 'modelyard up itself'}")


def load(client: Client, folders: Mapping[str, Path]) -> None:
    say(f"Loading {len(folders)} models and waiting until each is Available")
    for name, folder in folders.items():
        client.load(
            name,
            str(folder),
            requires=["onnx" if name.endswith("-onnx") else "sklearn"],
            memory="1Mi",
            replicas=2 if name == "iris-onnx" else 1,
        )
    for name in folders:
        client.wait(name, timeout_seconds=60)
        print(f"  {name} is Available")


def first_answer(client: Client, example: Example, up_at: float) -> None:
    client.infer("iris-onnx", example.rows[:1].astype(np.float32))
    print(f"  the first request was answered {time.monotonic() - up_at:.1f} s after `modelyard up` was called")


def ask(client: Client, example: Example) -> None:
    rows, truth = example.rows[:ROWS], example.truth[:ROWS]
    expected = example.model.predict(rows)
    kinds: tuple[tuple[str, Any], ...] = (("sklearn", np.float64), ("onnx", np.float32))
    protocols: tuple[Protocol, ...] = ("rest", "grpc")
    for kind, dtype in kinds:
        for protocol in protocols:
            name = f"{example.name}-{kind}"
            answer = client.infer(name, rows.astype(dtype), protocol=protocol)
            predicted = np.ravel(next(iter(answer.outputs.values())))
            if predicted.shape != (ROWS,) or not np.allclose(predicted, expected, rtol=TOLERANCE):
                raise DemoFailed(f"{name} over {protocol} answered {predicted}, the trained model says {expected}")
            print(f"  {name:22} {protocol:5} {answer.model} predicts {in_words(example, predicted)}")
    print(f"  {'in truth':43} {in_words(example, truth)}")


def in_words(example: Example, values: np.ndarray) -> str:
    return ", ".join(example.in_words(value) for value in values)


def forget(client: Client, names: list[str]) -> None:
    say("Unloading the models")
    for name in names:
        client.unload(name)
    for name in names:
        client.wait(name, condition="Deleted", timeout_seconds=60)
    print(f"  {len(names)} models are gone from memory and disk")


def free_port_base() -> int:
    """Away from the defaults; `modelyard up` itself would refuse a busy one."""
    for base in range(19000, 30000, 20):
        fixed = ports.fixed_ports(base)
        if all(map(ports.is_free, (fixed.gateway, fixed.xds, fixed.scheduler, fixed.agents))):
            return base
    raise DemoFailed("no free ports between 19000 and 30000")


def run(*arguments: str) -> None:
    """One `modelyard` command, its output indented."""
    done = subprocess.run([str(MODELYARD), *arguments], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        print(f"  {line}")
    if done.returncode != 0:
        raise DemoFailed(f"`modelyard {arguments[0]}` failed: {done.stderr.strip() or done.stdout.strip()}")


def stop(state_dir: Path) -> None:
    """Whatever happened; a second Ctrl-C must not leave it half done."""
    previous: Callable[..., Any] | int | None = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        subprocess.run(
            [str(MODELYARD), "down", "--state-dir", str(state_dir)],
            stdout=subprocess.DEVNULL,
            check=False,
            env={**os.environ, "NO_COLOR": "1"},
        )
    finally:
        signal.signal(signal.SIGINT, previous)


def say(step: str) -> None:
    print(f"\n● {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
