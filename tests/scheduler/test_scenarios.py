"""The scheduler's behaviour as readable transcripts: tests/scenarios/*.txt.

After a change on purpose: MODELYARD_REWRITE_SCENARIOS=1 pytest tests/scheduler/test_scenarios.py, and read the diff.
"""

import os
from pathlib import Path

import pytest

from tests.scheduler.transcripts import Transcript

SCENARIOS = Path(__file__).parents[1] / "scenarios"
REWRITE = os.environ.get("MODELYARD_REWRITE_SCENARIOS") == "1"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_the_scheduler_orders_what_the_transcript_says(path: Path, tmp_path: Path) -> None:
    expected = path.read_text()
    transcript = Transcript(tmp_path)
    try:
        got = transcript.run(expected)
    finally:
        transcript.close()
    if REWRITE:
        path.write_text(got)
    assert got == path.read_text()
