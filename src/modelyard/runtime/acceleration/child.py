"""`python -m modelyard.runtime.acceleration.child`: load one model, compile and check it, write what came of it.

A process of its own, because this takes seconds and much memory, and may not hold up or end a server. It dies with its
parent, takes no more memory than it is told, and gives way to everybody else.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from modelyard.runtime.acceleration import task
from modelyard.runtime.acceleration.task import Task

_PARENT_DEATH_SIGNAL = 1  # of Linux's prctl
_NICENESS = 10


def main() -> int:
    told = task.from_json(sys.stdin.buffer.read())
    _bind(told.memory_bytes)
    if os.getppid() != told.parent:  # it was gone before it could be followed
        return task.ORPHANED
    try:
        report = _report(told)
    except MemoryError:
        return task.NO_MEMORY
    path = task.report_path(told.into)
    path.write_text(json.dumps(report))
    return task.DONE


def _bind(memory_bytes: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Memory that is written to; libraries that are mapped, and address space that is only reserved, take none.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or memory_bytes < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _report(told: Task) -> dict[str, Any]:
    """`plan`, or `reason` where the model is not compiled."""
    # What the converters warn of, the check finds.
    warnings.simplefilter("ignore")
    try:
        import onnx  # noqa: F401
        import skl2onnx  # noqa: F401
    except ModuleNotFoundError as error:
        # Not kept: it is soon installed.
        return {"reason": f"{error.name} is not installed here: `pip install 'modelyard[optimize]'`", "keep": False}
    from modelyard.kit.errors import ModelyardError
    from modelyard.runtime.acceleration import plan, work
    from modelyard.runtime.acceleration.errors import NotCompilable
    from modelyard.runtime.errors import OutOfMemory
    from modelyard.runtime.formats import artifact, load

    folder = Path(told.folder)
    try:
        loaded = load.load(folder, load.Options(pickle=told.pickle, batch=False), told.order)
        made = work.make(loaded.model, artifact.find(folder, told.order).path, told.limits, count=told.rows)
    except NotCompilable as error:
        return {"reason": str(error), "keep": True}
    except OutOfMemory as error:
        raise MemoryError from error
    except ModelyardError as error:
        return {"reason": str(error), "keep": False}
    (Path(told.into) / task.GRAPH).write_bytes(made.content)
    return {"plan": plan.to_json(made.plan)}


if __name__ == "__main__":
    sys.exit(main())
