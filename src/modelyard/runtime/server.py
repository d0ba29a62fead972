"""The runtime, put together: repository, inference, HTTP and gRPC in one process."""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio

from modelyard.kit.errors import NotFound
from modelyard.runtime.acceleration.accelerator import Accelerator
from modelyard.runtime.acceleration.accelerator import Options as AccelerationOptions
from modelyard.runtime.formats.load import Options
from modelyard.runtime.grpc_methods import GrpcMethods
from modelyard.runtime.grpc_service import GrpcInferenceService
from modelyard.runtime.http import listener
from modelyard.runtime.http.endpoints import Endpoints
from modelyard.runtime.http.front import Front
from modelyard.runtime.http.grpc_calls import GrpcCalls
from modelyard.runtime.http.reader import Limits
from modelyard.runtime.identity import Identity
from modelyard.runtime.inference import Inference
from modelyard.runtime.loading import Loading
from modelyard.runtime.repository import UNLOAD_WAIT_SECONDS, Repository
from modelyard.runtime.workers.keeper import Keeper
from modelyard.runtime.workers.nurse import Nurse
from modelyard.wire import grpc_server, service

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
MOST_THREADS = 512
COMPILED = "-compiled"  # what the folder beside the repository is called, behind the repository's name


@dataclass(frozen=True, slots=True)
class Settings:
    """`http` and `grpc` are (host, port); port 0 takes a free one. `unix_socket`: where HTTP is heard too.
    `predict_threads`: calls at the same time of one model whose requests do not share calls.
    `workers`: whether models that may hold up others live in processes of their own.
    `acceleration` None: of models that ask for it, with what comes of it kept beside the repository.
    """

    repository: Path
    http: tuple[str, int] = ("127.0.0.1", 0)
    grpc: tuple[str, int] = ("127.0.0.1", 0)
    unix_socket: Path | None = None
    predict_threads: int = 4
    load_threads: int = 2
    unload_wait_seconds: float = UNLOAD_WAIT_SECONDS
    limits: Limits = Limits()
    formats: Options = field(default_factory=Options)
    workers: bool = True
    acceleration: AccelerationOptions | None = None


class Server:
    """A running server; `start` makes one."""

    def __init__(
        self,
        identity: Identity,
        repository: Repository,
        endpoints: Endpoints,
        methods: GrpcMethods,
        http: listener.Listener,
        grpc_listener: tuple[grpc.aio.Server, int],
        threads: tuple[ThreadPoolExecutor, ...],
        keeper: Keeper | None,
        accelerator: Accelerator,
    ) -> None:
        self.identity = identity
        self.repository = repository
        self.keeper = keeper
        self.http_port = http.port
        self._grpc, self.grpc_port = grpc_listener
        self._endpoints, self._methods, self._http, self._threads = endpoints, methods, http, threads
        self._accelerator = accelerator

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Take nothing new, let what is in flight finish for that long, then end."""
        self._endpoints.ready = self._methods.ready = False
        await asyncio.gather(self._grpc.stop(seconds), self._http.stop(seconds))
        await self.repository.close()
        await self._accelerator.close()
        if self.keeper is not None:
            await self.keeper.close()
        for threads in self._threads:
            threads.shutdown(wait=False, cancel_futures=True)


async def start(settings: Settings) -> Server:
    """Raises `NotFound` for a missing repository and `Refused` for a busy port."""
    if not settings.repository.is_dir():
        raise NotFound(f"there is no folder {settings.repository} to serve models from")
    # Threads are made when they are needed: each model has its own bound, so that none takes those of another.
    predicting = ThreadPoolExecutor(MOST_THREADS, "predict")
    loading = ThreadPoolExecutor(settings.load_threads, "load")
    keeper = None
    if settings.workers:
        level = logging.getLevelName(logging.getLogger().getEffectiveLevel()).lower()
        keeper = Keeper(settings.formats, Nurse(settings.formats.intra_op_threads, level))
    loader = Loading(settings.formats, keeper)
    beside = settings.repository.with_name(settings.repository.name + COMPILED)
    accelerator = Accelerator(settings.acceleration or AccelerationOptions(beside), settings.formats, loading)
    repository = Repository(
        settings.repository, loader, loading, settings.unload_wait_seconds, accelerate=accelerator.begin
    )
    inference = Inference(repository, predicting, settings.predict_threads)
    identity = Identity(settings.unix_socket)
    endpoints = Endpoints(repository, inference, identity, settings.limits.most_body_bytes)
    methods = GrpcMethods(repository, inference, identity)
    front = Front(endpoints, GrpcCalls(methods, settings.limits.most_body_bytes))
    async with contextlib.AsyncExitStack() as on_failure:
        http = await listener.listen(*settings.http, front, socket_path=settings.unix_socket, limits=settings.limits)
        on_failure.push_async_callback(http.stop, 0)
        address = f"{settings.grpc[0]}:{settings.grpc[1]}"
        grpc_listener = await grpc_server.start(address, {service.INFERENCE: GrpcInferenceService(methods)})
        on_failure.pop_all()
    return Server(
        identity, repository, endpoints, methods, http, grpc_listener, (predicting, loading), keeper, accelerator
    )
