"""`python -m modelyard.run.agent`: the agent of one inference-server replica."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import uvloop

from modelyard.agent import flags
from modelyard.agent.process import AgentProcess
from modelyard.agent.settings import Settings
from modelyard.kit import logs
from modelyard.kit.errors import ModelyardError

log = logging.getLogger(__name__)


async def _serve(settings: Settings) -> None:
    running = asyncio.current_task()
    assert running is not None
    asked_to_stop = False

    def stop() -> None:
        nonlocal asked_to_stop
        asked_to_stop = True
        running.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await AgentProcess(settings).run()
    except asyncio.CancelledError:
        if not asked_to_stop:
            raise
        log.info("stopped; models stay loaded")


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> None:
    try:
        settings, log_level = flags.read(sys.argv[1:] if arguments is None else arguments, environment)
        logs.configure(f"agent {settings.replica}", log_level)
        uvloop.run(_serve(settings))
    except ModelyardError as error:
        print(f"agent: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"agent: cannot use its folders: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
