"""Load a file in a process of its own first: on a damaged one XGBoost and LightGBM may end the process they are in.

A truncated LightGBM file aborts, a truncated UBJSON of XGBoost may be a segmentation fault or never end. Here that is
one refused model, not a server that dies with all the others. The child loads the C library alone: it costs about
50 ms, and for that moment the model's memory once more. For CatBoost it imports the module, which costs a second.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from modelyard.kit.errors import InvalidInput
from modelyard.runtime.errors import OutOfMemory
from modelyard.runtime.formats import trial_process
from modelyard.runtime.formats.extras import EXTRAS

_PROGRAM = str(Path(trial_process.__file__))
_SECONDS = 60.0
_SECONDS_FOR_A_MEGABYTE = 2.0

_WHERE_IN_ITS_SOURCE = re.compile(r"^(\[[\d:]+\] )?(\S*/\S+:\d+: )?")


def load(library: str, kind: str, path: Path) -> None:
    """`library`: the file of the C library; of CatBoost, where modules are looked for.

    Raises `InvalidInput` when it cannot load `path` or predict with it.
    """
    name = EXTRAS[kind]
    seconds = _SECONDS + _SECONDS_FOR_A_MEGABYTE * path.stat().st_size / (1 << 20)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", _PROGRAM, library, kind, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InvalidInput(f"{name} cannot load {path.name}: it was not done after {seconds:.0f} s") from None
    if done.returncode == trial_process.LOADED:
        return
    if done.returncode == trial_process.NO_MEMORY:
        raise OutOfMemory(f"there is not enough memory to load {path.name}")
    if done.returncode == trial_process.REFUSED:
        # The library may have written to standard output before; our line is the last.
        said = done.stdout.decode(errors="replace").strip().rpartition(trial_process.MARK)[2]
        raise InvalidInput(f"{name} cannot load {path.name}: {message(said)}")
    how = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
    raise InvalidInput(f"{name} cannot load {path.name}: the file is damaged ({name} ended with {how} when it read it)")


def message(text: str) -> str:
    """What the library says, in one line and without the place in its source."""
    first = (text.strip().splitlines() or ["no reason given"])[0]
    return _WHERE_IN_ITS_SOURCE.sub("", first).strip() or first
