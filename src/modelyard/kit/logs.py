"""Plain log lines on standard error: time, level, part, sentence."""

import logging
import sys

LEVELS = ("debug", "info", "warning", "error")


def configure(part: str, level: str = "info") -> None:
    """Send this process's log lines to standard error, marked with the part's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s %(levelname)-7s {part}: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
