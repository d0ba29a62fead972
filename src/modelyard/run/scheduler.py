"""The scheduler process: its API, the agents' service and the proxies' xDS on three ports."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

import uvloop

from modelyard import __version__
from modelyard.domain.status import SystemStatus
from modelyard.kit import clock, logs
from modelyard.kit.errors import ModelyardError
from modelyard.kit.tasks import TaskSet
from modelyard.proxy.desired import Outcome
from modelyard.proxy.envoy.server import EnvoyDriver
from modelyard.run.publisher import GatewayPublisher, gateways, refusals, remember_gateways, settled
from modelyard.scheduler.agent_rpc import AgentReports, AgentService
from modelyard.scheduler.control_rpc import ControlService
from modelyard.scheduler.core import Core
from modelyard.scheduler.explain import gate_in_words
from modelyard.scheduler.journal import Journal
from modelyard.scheduler.machine import Scheduler
from modelyard.scheduler.scheduler_rpc import SchedulerService
from modelyard.scheduler.settings import Settings
from modelyard.wire import grpc_server, service

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logs.configure("scheduler", options.log_level)
    try:
        uvloop.run(serve(options))
    except ModelyardError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="modelyard.run.scheduler", description=__doc__)
    parser.add_argument("--state-dir", required=True, metavar="DIR", help="the journal is DIR/scheduler/journal.db")
    parser.add_argument("--api", default="127.0.0.1:9004", metavar="HOST:PORT", help="users and providers")
    parser.add_argument("--agents", default="127.0.0.1:9005", metavar="HOST:PORT", help="agents")
    parser.add_argument("--xds", default="127.0.0.1:9002", metavar="HOST:PORT", help="gateways")
    parser.add_argument(
        "--restart-wait-seconds",
        type=float,
        default=defaults.restart_wait_seconds,
        help="how long a restarted scheduler waits for the agents it knew (default: %(default)s)",
    )
    parser.add_argument(
        "--suspect-seconds",
        type=float,
        default=defaults.suspect_seconds,
        help="from the loss of an agent until its server is asked whether it still answers (default: %(default)s)",
    )
    parser.add_argument("--log-level", choices=logs.LEVELS, default="info")
    return parser


async def serve(options: argparse.Namespace) -> None:
    """Until SIGTERM or SIGINT."""
    started = clock.now()
    settings = Settings(restart_wait_seconds=options.restart_wait_seconds, suspect_seconds=options.suspect_seconds)
    journal = Journal(Path(options.state_dir) / "scheduler" / "journal.db", events_kept=settings.events_kept)
    for warning in journal.warnings:
        log.warning("%s", warning)

    def on_outcome(outcome: Outcome) -> None:
        core.tell_now(settled(outcome))

    driver = EnvoyDriver(on_outcome=on_outcome)
    core = Core(Scheduler(settings, journal.read()), journal, GatewayPublisher(driver, journal.gateways()))

    def system() -> SystemStatus:
        return SystemStatus(
            version=__version__,
            started=started,
            waiting_for=gate_in_words(core.machine.state),
            gateways=gateways(driver),
            refusals=refusals(driver),
            warnings=(*journal.warnings, *([core.trouble] if core.trouble else [])),
            providers=len(core.manifests),
        )

    api = {service.SCHEDULER: SchedulerService(core), service.CONTROL: ControlService(core, system)}
    agents = {service.AGENT: AgentService(core), service.AGENT_REPORTS: AgentReports(core)}
    tasks = TaskSet()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(journal.close)
        stack.push_async_callback(tasks.cancel)
        await driver.start(options.xds)
        stack.push_async_callback(driver.stop)
        for address, services in ((options.api, api), (options.agents, agents)):
            server, _ = await grpc_server.start(address, services)
            stack.push_async_callback(server.stop, None)
        running = tasks.start(core.run(rebuild=journal.fresh), name="core")
        tasks.start(remember_gateways(driver, core, journal), name="remember gateways")
        log.info("API on %s, agents on %s, gateways on %s", options.api, options.agents, options.xds)
        stop = _stop_signal()
        await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()


def _stop_signal() -> "asyncio.Future[None]":
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def ask_to_stop() -> None:
        if not stop.done():
            stop.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop)
    return stop


if __name__ == "__main__":
    sys.exit(main())
