"""The gateway process: write Envoy's bootstrap, then become Envoy (same pid)."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from modelyard.kit import errors
from modelyard.kit.machine import machine_id
from modelyard.proxy.envoy import bootstrap, process

LEVELS = ("trace", "debug", "info", "warning", "error", "critical", "off")


def main(arguments: list[str] | None = None) -> int:
    """Returns only where it could not start."""
    options = _parser().parse_args(arguments)
    return become(lambda: _command(options))


def become(command: Callable[[], list[str]]) -> int:
    """The same process goes on as the program. Returns only where `command` raises, or cannot be run."""
    try:
        found = command()
    except errors.ModelyardError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stderr.flush()
    return os.execv(found[0], found)


def _command(options: argparse.Namespace) -> list[str]:
    listen_host, listen_port = split_address(options.listen, "--listen")
    xds_host, xds_port = split_address(options.xds, "--xds")
    settings = bootstrap.Settings(
        gateway_id=options.id,
        listen_host=listen_host,
        listen_port=listen_port,
        xds_host=xds_host,
        xds_port=xds_port,
        admin_port=options.admin_port,
        machine=machine_id(),
    )
    folder = Path(options.state_dir) / "gateway"
    return process.prepare(settings, folder, concurrency=options.concurrency, log_level=options.log_level)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelyard.run.gateway", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:9000", metavar="HOST:PORT", help="REST and gRPC on one port")
    parser.add_argument("--xds", default="127.0.0.1:9002", metavar="HOST:PORT", help="the scheduler's xDS port")
    parser.add_argument("--state-dir", required=True, metavar="DIR", help="the bootstrap goes to DIR/gateway/")
    parser.add_argument("--id", default="gateway", metavar="NAME", help="unique among gateways")
    parser.add_argument("--concurrency", type=int, default=os.cpu_count() or 1, metavar="N", help="worker threads")
    parser.add_argument("--admin-port", type=int, default=0, metavar="PORT", help="on loopback; 0 takes a free one")
    parser.add_argument("--log-level", choices=LEVELS, default="warning")
    return parser


def split_address(address: str, flag: str) -> tuple[str, int]:
    """Raises `InvalidInput`, naming the flag."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise errors.InvalidInput(f"{flag} {address}: give HOST:PORT, e.g. 127.0.0.1:9000")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
