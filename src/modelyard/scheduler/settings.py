"""The scheduler's settings, read once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """All in seconds. The reference waits up to 300 s after a restart; our journal knows whom to wait for."""

    restart_wait_seconds: float = 60.0  # for the agents known before a restart
    suspect_seconds: float = 10.0  # from an agent's loss to the question whether its server still answers
    probe_seconds: float = 5.0  # between such questions
    rebuild_seconds: float = 120.0  # how long agents' models are adopted after the journal was lost
    events_kept: int = 200  # lines of history per subject
