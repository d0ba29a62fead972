"""Compiled models on disk, by what they were compiled of and by what: so the same model is compiled once.

    <folder>/<key>/report.json, model.onnx      whole: renamed into place, and the graph's digest is in the report
    <folder>/tmp-…/                             on its way in, of this process or of one that died

Blocking: for threads. Several servers may share a folder.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.runtime.acceleration import plan
from modelyard.runtime.acceleration.plan import Plan
from modelyard.runtime.acceleration.task import GRAPH, REPORT

log = logging.getLogger(__name__)

_TEMPORARY = "tmp-"


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of compiling: a graph with its plan, or the reason why there is none."""

    content: bytes = b""
    plan: Plan | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cache:
    folder: Path
    most_bytes: int

    def get(self, key: str) -> Kept | None:
        """None: not there, or damaged, and then it is gone."""
        entry = self.folder / key
        try:
            report = json.loads((entry / REPORT).read_bytes())
            if "reason" in report:
                found = Kept(reason=str(report["reason"]))
            else:
                content = (entry / GRAPH).read_bytes()
                if hashlib.sha256(content).hexdigest() != report["sha256"]:
                    raise ValueError("the graph is not the one that was written")
                found = Kept(content, plan.from_json(report["plan"]))
            os.utime(entry)  # used last now
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("the compiled model in %s is damaged (%s) and is compiled again", entry, error)
            self._remove(entry)
            return None
        return found

    @contextlib.contextmanager
    def work_folder(self) -> Iterator[Path]:
        """A folder to compile into; gone afterwards. Raises `OSError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{os.getpid()}-", dir=self.folder))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def put(self, key: str, made: Path) -> Kept:
        """What the child wrote into `made`; kept unless its report says otherwise, or the disk refuses.

        Raises `OSError` or `ValueError` where it wrote nothing that can be read.
        """
        report: dict[str, Any] = json.loads((made / REPORT).read_bytes())
        if "reason" in report:
            found, keep = Kept(reason=str(report["reason"])), bool(report.pop("keep", False))
        else:
            content = (made / GRAPH).read_bytes()
            report["sha256"] = hashlib.sha256(content).hexdigest()
            found, keep = Kept(content, plan.from_json(report["plan"])), True
        if keep:
            try:
                (made / REPORT).write_text(json.dumps(report))
                for it in made.iterdir():
                    _sync(it)
                self._remove(self.folder / key)
                made.rename(self.folder / key)
                self._shrink(self.folder / key)
            except OSError as error:
                log.warning("a compiled model is not kept in %s: %s", self.folder, error)
        return found

    def sweep(self) -> None:
        """Once, at the start: what processes that are gone left half done."""
        with contextlib.suppress(OSError):
            for it in self.folder.glob(f"{_TEMPORARY}*"):
                if not _lives(it.name.removeprefix(_TEMPORARY).partition("-")[0]):
                    shutil.rmtree(it, ignore_errors=True)

    def _shrink(self, newest: Path) -> None:
        """Take out what was used longest ago, until the rest fits; never the newest."""
        entries = [it for it in self.folder.iterdir() if it.is_dir() and not it.name.startswith(_TEMPORARY)]
        sizes = {it: sum(file.stat().st_size for file in it.iterdir()) for it in entries}
        total = sum(sizes.values())
        for it in sorted(entries, key=lambda entry: entry.stat().st_mtime_ns):
            if total <= self.most_bytes:
                return
            if it != newest:
                self._remove(it)
                total -= sizes[it]

    def _remove(self, entry: Path) -> None:
        """At once, as others see it."""
        if not entry.exists():
            return
        with contextlib.suppress(OSError), self.work_folder() as aside:
            entry.rename(aside / "old")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
