"""Which kind of server an agent stands beside."""

from modelyard.agent.servers.mlserver import MLServer
from modelyard.agent.servers.runtime import Runtime
from modelyard.agent.servers.triton import Triton
from modelyard.agent.servers.v2 import V2Server
from modelyard.agent.settings import Settings
from modelyard.domain.server_configs import MLSERVER, TRITON


def server(settings: Settings) -> V2Server:
    """A client of the server that the settings name. Inside an event loop."""
    if settings.server_type == MLSERVER:
        grpc_address, workers = settings.server_grpc, settings.parallel_workers
        return MLServer(settings.server_url, settings.limits, grpc_address=grpc_address, workers=workers)
    if settings.server_type == TRITON:
        return Triton(settings.server_url, settings.limits)
    return Runtime(settings.server_url, settings.limits)
