"""Streams of models that live in workers: in order, no faster than they are taken, over when nobody wants them."""

import json
from pathlib import Path
from textwrap import dedent

import httpx
import psutil

from tests.runtime.workers.test_workers import DEADLINE, Runtime, running, until, workers

__all__ = ["running"]

PARTS = 500
CODE = """
    from pathlib import Path
    import numpy as np

    class Counts:
        def load(self, folder):
            self.seen = Path(folder) / "seen"
            self.seen.mkdir(exist_ok=True)

        def predict_stream(self, x: np.ndarray):
            try:
                for number in range({parts}):
                    (self.seen / str(number)).touch()
                    yield np.full(({size}, 1), number)
            finally:
                (self.seen / "closed").touch()
"""
REQUEST = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]}


def written(runtime: Runtime, size: int, parts: int = PARTS) -> Path:
    folder = runtime.repository / "counts"
    folder.mkdir()
    (folder / "model.py").write_text(dedent(CODE.format(parts=parts, size=size)))
    assert runtime.load("counts").status_code == 200
    return folder / "seen"


def values(lines) -> list[int]:
    return [json.loads(it.removeprefix("data: "))["outputs"][0]["data"][0] for it in lines if it.startswith("data: ")]


def test_parts_come_in_order_and_the_stream_ends(running: Runtime):
    seen = written(running, 1, parts=20)
    with httpx.stream("POST", f"{running.http}/v2/models/counts/infer_stream", json=REQUEST, timeout=DEADLINE) as it:
        assert values(it.iter_lines()) == list(range(20))
    assert (seen / "closed").exists()


def test_a_client_that_reads_no_more_holds_its_model_back_and_one_that_leaves_ends_it(running: Runtime):
    seen = written(running, 50_000)  # as JSON each part is larger than what lies on the way
    with httpx.stream("POST", f"{running.http}/v2/models/counts/infer_stream", json=REQUEST, timeout=DEADLINE) as it:
        lines = it.iter_lines()
        assert values([next(lines)]) == [0]
    until((seen / "closed").exists)
    assert len(list(seen.iterdir())) < PARTS / 2


def test_a_worker_that_dies_within_a_stream_ends_it_with_a_sentence(running: Runtime):
    written(running, 50_000)
    with httpx.stream("POST", f"{running.http}/v2/models/counts/infer_stream", json=REQUEST, timeout=DEADLINE) as it:
        lines = it.iter_lines()
        assert values([next(lines)]) == [0]
        (worker,) = workers(running)
        worker.kill()
        *_, last = [line for line in lines if line.startswith("data: ")]
    assert "the process of the model 'counts' ended while it ran this request (SIGKILL" in json.loads(last[6:])["error"]
    until(lambda: [new for new in workers(running) if new.pid != worker.pid and new.status() != psutil.STATUS_ZOMBIE])
