"""The front door's process: write Envoy's bootstrap, then become Envoy (same pid). Its agent tells it the rest."""

import argparse
import os
import sys
from pathlib import Path

from modelyard.agent import door_files
from modelyard.kit import errors
from modelyard.proxy.envoy import door_bootstrap, process
from modelyard.run.gateway import LEVELS, become, split_address

# A door has one server behind it. One thread carries some 10,000 requests/s; more only share out what one could do.
MOST_THREADS = 4


def main(arguments: list[str] | None = None) -> int:
    """Returns only where it could not start."""
    options = _parser().parse_args(arguments)
    return become(lambda: _command(options))


def _command(options: argparse.Namespace) -> list[str]:
    host, http_port = split_address(options.http, "--http")
    grpc_host, grpc_port = split_address(options.grpc, "--grpc")
    if grpc_host != host:
        raise errors.InvalidInput(f"--http {options.http} and --grpc {options.grpc}: give the same host")
    where = door_files.sockets(Path(options.agent_folder))
    settings = door_bootstrap.Settings(
        door_id=options.id,
        listen_host=host,
        http_port=http_port,
        grpc_port=grpc_port,
        control=str(where.control),
        admin=str(where.admin),
    )
    folder = where.admin.parent
    return process.prepare_door(settings, folder, concurrency=options.concurrency, log_level=options.log_level)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelyard.run.front_door", description=__doc__)
    parser.add_argument("--http", default="127.0.0.1:9999", metavar="HOST:PORT", help="for REST; takes gRPC too")
    parser.add_argument("--grpc", default="127.0.0.1:9998", metavar="HOST:PORT", help="for gRPC; takes REST too")
    parser.add_argument("--agent-folder", required=True, metavar="DIR", help="the agent's: they meet there")
    parser.add_argument("--id", default="front-door", metavar="NAME", help="as the agent's log calls it")
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    parser.add_argument("--concurrency", type=int, default=threads, metavar="N", help="worker threads")
    parser.add_argument("--log-level", choices=LEVELS, default="warning")
    return parser


if __name__ == "__main__":
    sys.exit(main())
