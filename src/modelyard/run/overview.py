"""The running system at a glance, asked of the scheduler: for `up` to see when it is ready, and for its table."""

from collections.abc import Sequence
from dataclasses import dataclass

import grpc.aio

from modelyard.domain.server import ServerManifest
from modelyard.domain.status import ReplicaState, ServerStatus, SystemStatus
from modelyard.run import wanted
from modelyard.wire import control, service, statuses

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Overview:
    system: SystemStatus
    servers: tuple[ServerStatus, ...]


async def look(channel: grpc.aio.Channel) -> Overview | None:
    """None: the scheduler does not answer."""
    stub = service.Stub(channel, service.CONTROL)
    try:
        system = await stub.GetSystem(control.GetSystemRequest(), timeout=SECONDS)
        listed = await stub.ListServers(control.ListServersRequest(), timeout=SECONDS)
    except grpc.aio.AioRpcError:
        return None
    return Overview(statuses.decode_system(system), tuple(statuses.decode_server_status(it) for it in listed.servers))


def missing(now: Overview, wishes: Sequence[ServerManifest]) -> str | None:
    """What is still awaited before the first request can be answered; None when nothing is. Pure."""
    if not any(gateway.connected for gateway in now.system.gateways):
        return "the gateway has not connected to the scheduler"
    for manifest in wishes:
        if wanted.refusal(manifest) is not None:
            continue
        server = next((it for it in now.servers if it.name == manifest.name), None)
        replicas = server.replicas if server is not None else ()
        connected = sum(it.state is ReplicaState.CONNECTED for it in replicas)
        if connected < manifest.replicas.wanted:
            return f"server {manifest.name} has {connected} of {manifest.replicas.wanted} replicas connected"
    return None
