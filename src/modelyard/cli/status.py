"""`modelyard status`."""

from typing import TYPE_CHECKING, Any

import typer

from modelyard.cli import options, rows, shapes, table, words
from modelyard.kit import clock
from modelyard.kit.errors import ModelyardError

if TYPE_CHECKING:
    from modelyard.client.aio import AsyncClient
    from modelyard.domain.status import ServerStatus, SystemStatus
    from modelyard.run.system import System


def status(
    output: options.Output = options.Format.TABLE,
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """Show the parts of the system, their ports and versions.

    Also what the scheduler waits for, which gateways are connected, what they refused, and the servers.

    Example: modelyard status
    """
    from modelyard.client.addresses import Addresses

    addresses = Addresses(scheduler, None, state_dir)
    local = None if addresses.told else addresses.local()
    where = {"scheduler": addresses.scheduler(), **({"gateway": local.gateway, "xds": local.xds} if local else {})}
    parts = _parts(local) if local else []
    if not (structured := output in (options.Format.JSON, options.Format.YAML)):
        _show_parts(where, parts)
    try:
        told, servers = options.ask(_ask, scheduler=scheduler, state_dir=state_dir)
    except ModelyardError as error:
        if structured:
            table.dump({"addresses": where, "parts": parts, "error": str(error)}, as_yaml=output is options.Format.YAML)
        raise
    if structured:
        shape = {**shapes.system(told, where, parts), "servers": [shapes.server(it) for it in servers]}
        table.dump(shape, as_yaml=output is options.Format.YAML)
    else:
        _show(told, servers, wide=output is options.Format.WIDE)


async def _ask(client: "AsyncClient") -> "tuple[SystemStatus, list[ServerStatus]]":
    return await client.status(), await client.servers()


def _parts(local: "System") -> list[dict[str, Any]]:
    return [
        {
            "name": part.name,
            "state": "running" if part.process.is_alive() else "not running",
            "pid": part.pid,
            "ports": dict(part.ports),
            "restarts": part.restarts,
            "log": part.log,
        }
        for part in local.parts
    ]


def _show_parts(where: dict[str, str], parts: list[dict[str, Any]]) -> None:
    for name, address in where.items():
        typer.echo(f"{name + ':':<11} {address}")
    if parts:
        body = [
            (
                part["name"],
                part["state"],
                str(part["pid"]),
                " ".join(f"{name}:{port}" for name, port in part["ports"].items()),
                str(part["restarts"]),
            )
            for part in parts
        ]
        typer.echo()
        for line in table.lines(("PART", "STATE", "PID", "PORTS", "RESTARTS"), body, colour=table.wants_colour()):
            typer.echo(line)


def _show(told: "SystemStatus", servers: "list[ServerStatus]", *, wide: bool) -> None:
    now = clock.now()
    typer.echo(f"\nscheduler {told.version}" + (f", up for {words.age(told.started, now)}" if told.started else ""))
    if told.waiting_for:
        table.warn(f"it decides nothing yet: {told.waiting_for}")
    connected = [it for it in told.gateways if it.connected]
    if not connected:
        table.warn("no gateway is connected: nobody routes requests to the models")
    for gateway in told.gateways:
        state = "connected" if gateway.connected else "not connected"
        since = f" for {words.age(gateway.since, now)}" if gateway.since else ""
        proxy = f", configuration {gateway.config_version}" if gateway.config_version else ""
        typer.echo(f"gateway {gateway.id}: {state}{since}{proxy}")
    for refusal in told.refusals:
        table.warn(f"gateway {refusal.gateway} refused {refusal.resource}: {refusal.reason}")
    for warning in told.warnings:
        table.warn(warning)
    typer.echo(words.counted(told.providers, "provider") + " of servers")
    if servers:
        typer.echo()
        header = rows.SERVERS_WIDE if wide else rows.SERVERS
        for line in table.lines(header, [rows.server(it, now, wide=wide) for it in servers]):
            typer.echo(line)
