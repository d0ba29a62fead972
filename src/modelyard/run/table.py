"""The live table of `modelyard up` on a terminal: servers, memory, models."""

import asyncio
import logging

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from modelyard.domain.status import ReplicaModelState, ReplicaState, ReplicaStatus
from modelyard.kit.sizes import quantity
from modelyard.run import overview
from modelyard.run.overview import Overview
from modelyard.wire import grpc_server

PERIOD_SECONDS = 1.0
MOST_MODELS = 6  # named in one row
_STATE_STYLES = {ReplicaState.CONNECTED: "green", ReplicaState.SUSPECT: "red", ReplicaState.DRAINING: "yellow"}
_GOOD = {ReplicaModelState.AVAILABLE, ReplicaModelState.LOADED}


class LinesAbove(logging.Handler):
    """Log lines onto the console that shows the table: above it, not through it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        style = "red" if record.levelno >= logging.ERROR else "yellow" if record.levelno >= logging.WARNING else ""
        self._console.print(Text(self.format(record), style=style))


class LiveTable:
    """Shows until cancelled. Log lines appear above it."""

    def __init__(self, console: Console, *, scheduler: str, heading: str) -> None:
        self._console = console
        self._scheduler = scheduler
        self._heading = heading

    async def show(self) -> None:
        with Live(Text("…"), console=self._console, auto_refresh=False, transient=True) as live:
            async with grpc_server.channel(self._scheduler) as channel:
                while True:
                    now = await overview.look(channel)
                    live.update(draw(self._heading, now), refresh=True)
                    await asyncio.sleep(PERIOD_SECONDS)


def draw(heading: str, now: Overview | None) -> Group:
    """The picture for one moment. Pure."""
    title = Text(heading, style="bold")
    if now is None:
        return Group(title, Text("the scheduler does not answer at the moment", style="red"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("SERVER", "REPLICA", "STATE", "MEMORY", "", "MODELS"):
        table.add_column(column, justify="right" if column == "REPLICA" else "left")
    for server in sorted(now.servers, key=lambda it: it.name):
        for replica in sorted(server.replicas, key=lambda it: it.replica):
            table.add_row(
                server.name,
                str(replica.replica.index),
                Text(replica.state.value, style=_STATE_STYLES.get(replica.state, "")),
                _memory(replica),
                _bar(replica),
                _models(replica),
            )
    lines: list[Text | Table] = [title, table]
    if not any(gateway.connected for gateway in now.system.gateways):
        lines.append(Text("no gateway is connected", style="red"))
    if now.system.waiting_for:
        lines.append(Text(f"waiting for {now.system.waiting_for}", style="yellow"))
    lines += [Text(f"refused by {it.gateway}: {it.resource}: {it.reason}", style="red") for it in now.system.refusals]
    lines += [Text(warning, style="yellow") for warning in now.system.warnings]
    return Group(*lines)


def _memory(replica: ReplicaStatus) -> str:
    if replica.config is None:
        return "-"
    return f"{quantity(replica.assigned_bytes)} of {quantity(replica.config.memory_bytes)}"


def _bar(replica: ReplicaStatus, width: int = 10) -> Text:
    if replica.config is None or not replica.config.memory_bytes:
        return Text("")
    full = min(width, -(-replica.assigned_bytes * width // replica.config.memory_bytes))
    return Text("━" * full, style="cyan") + Text("━" * (width - full), style="dim")


def _models(replica: ReplicaStatus) -> Text:
    said = [
        Text(str(it.version)) if it.state in _GOOD else Text(f"{it.version} ({it.state.value})", style="yellow")
        for it in sorted(replica.models, key=lambda it: it.version)
    ]
    more = [Text(f"and {len(said) - MOST_MODELS} more")] if len(said) > MOST_MODELS else []
    return Text(", ").join([*said[:MOST_MODELS], *more]) if said else Text("-", style="dim")
