"""`python -m modelyard.run.runtime`: the built-in inference server."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from modelyard.kit import logs
from modelyard.kit.errors import ModelyardError
from modelyard.runtime import server
from modelyard.runtime.acceleration import accelerator
from modelyard.runtime.acceleration.process import Bounds
from modelyard.runtime.formats.load import Options
from modelyard.runtime.formats.settings import OPTIMIZE

log = logging.getLogger(__name__)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _optimize(text: str) -> str:
    if text not in OPTIMIZE:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(OPTIMIZE)}")
    return text


def _settings(arguments: argparse.Namespace) -> server.Settings:
    return server.Settings(
        repository=arguments.repository,
        http=arguments.http,
        grpc=arguments.grpc,
        unix_socket=arguments.unix_socket,
        predict_threads=arguments.predict_threads,
        acceleration=_acceleration(arguments),
        formats=Options(pickle=arguments.pickle, intra_op_threads=arguments.intra_op_threads, batch=arguments.batch),
    )


def _acceleration(arguments: argparse.Namespace) -> accelerator.Options:
    repository: Path = arguments.repository
    return accelerator.Options(
        cache=arguments.optimize_cache or repository.with_name(repository.name + server.COMPILED),
        default=arguments.optimize,
        bounds=Bounds(arguments.optimize_memory << 20, arguments.optimize_seconds),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="modelyard.run.runtime", description="Serve models over the V2 protocol.")
    parser.add_argument("--http", type=_address, default=("127.0.0.1", 8080), metavar="HOST:PORT")
    parser.add_argument("--grpc", type=_address, default=("127.0.0.1", 8081), metavar="HOST:PORT")
    parser.add_argument(
        "--unix-socket", type=Path, metavar="PATH", help="REST, and gRPC over HTTP/1.1, for gateways of this user here"
    )
    parser.add_argument("--repository", type=Path, required=True, metavar="DIR", help="a folder of models' folders")
    parser.add_argument("--no-pickle", dest="pickle", action="store_false", help="refuse .joblib and .pkl artifacts")
    parser.add_argument("--no-batch", dest="batch", action="store_false", help="run every request as a call of its own")
    parser.add_argument(
        "--intra-op-threads", type=_positive, default=1, metavar="N", help="of one prediction (not scikit-learn)"
    )
    parser.add_argument("--predict-threads", type=_positive, default=4, metavar="N", help="for all but ONNX models")
    parser.add_argument(
        "--optimize",
        type=_optimize,
        default=os.environ.get("MODELYARD_OPTIMIZE", "none"),  # a text default is checked by `type`
        metavar="|".join(OPTIMIZE),
        help="compile models that do not say otherwise (docs/acceleration.md) [MODELYARD_OPTIMIZE]",
    )
    parser.add_argument(
        "--optimize-memory", type=_positive, default=4096, metavar="MIB", help="the most that compiling a model takes"
    )
    parser.add_argument("--optimize-seconds", type=_positive, default=600, metavar="N", help="the same, of time")
    parser.add_argument(
        "--optimize-cache", type=Path, metavar="DIR", help="keep compiled models here (beside the repository)"
    )
    parser.add_argument("--log-level", choices=logs.LEVELS, default="info")
    return parser


async def _serve(settings: server.Settings) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    running = await server.start(settings)
    gc.collect()
    gc.freeze()  # what is there now stays: no collection has to walk through it while requests wait
    log.info(
        "ready: REST on http://%s:%d, gRPC on %s:%d, models in %s, instance %s",
        settings.http[0],
        running.http_port,
        settings.grpc[0],
        running.grpc_port,
        settings.repository,
        running.identity.instance,
    )
    gc.freeze()  # what was imported stays: no collection need look at it
    await asked_to_stop.wait()
    log.info("stopping")
    await running.stop()


def main() -> None:
    arguments = _parser().parse_args()
    logs.configure("runtime", arguments.log_level)
    try:
        uvloop.run(_serve(_settings(arguments)))
    except ModelyardError as error:
        print(f"runtime: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BaseException:
        # Threads that run a model's code must not hold a process that answers no more: it is to be started again.
        log.critical("ended by a bug", exc_info=True)
        logging.shutdown()
        os._exit(1)
    log.info("stopped")
    logging.shutdown()
    os._exit(0)  # a prediction that outlived the wait must not hold the process


if __name__ == "__main__":
    main()
