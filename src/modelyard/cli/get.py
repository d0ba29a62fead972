"""`modelyard get`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from modelyard.cli import options, rows, shapes, sizes, table
from modelyard.kit import clock
from modelyard.kit.errors import InvalidInput, NotFound, TimedOut, Unavailable
from modelyard.wire.manifest_problems import did_you_mean

if TYPE_CHECKING:
    from modelyard.client.aio import AsyncClient

WATCH_SECONDS = 1.0


class _Kind(NamedTuple):
    fetch: "Callable[[AsyncClient, str | None], Awaitable[Sequence[Any]]]"
    row: Callable[..., tuple[str, ...]]
    shape: Callable[[Any], dict[str, Any]]
    header: Sequence[str]
    wide_header: Sequence[str]
    full_fetch: "Callable[[AsyncClient, str | None], Awaitable[Sequence[Any]]] | None" = None  # for more than `header`


async def _models(client: "AsyncClient", name: str | None) -> Sequence[Any]:
    return [await client.model(name)] if name else await client.models()


async def _models_with_sizes(client: "AsyncClient", name: str | None) -> Sequence[Any]:
    return sizes.joined(await _models(client, name), await client.servers())


async def _servers(client: "AsyncClient", name: str | None) -> Sequence[Any]:
    return [await client.server(name)] if name else await client.servers()


async def _replicas(client: "AsyncClient", name: str | None) -> Sequence[Any]:
    server, _, index = (name or "").partition("/")
    found = rows.flat(await _servers(client, server or None))
    return [it for it in found if not index or str(it.replica.index) == index]


_KINDS = {
    "models": _Kind(_models, rows.model, shapes.model, rows.MODELS, rows.MODELS_WIDE, _models_with_sizes),
    "servers": _Kind(_servers, rows.server, shapes.server, rows.SERVERS, rows.SERVERS_WIDE),
    "replicas": _Kind(_replicas, rows.replica, shapes.replica, rows.REPLICAS, rows.REPLICAS_WIDE),
}


def get(
    kind: Annotated[str, typer.Argument(metavar="models|servers|replicas", help="What to list.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this one; of replicas, those of this server.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on, with a line for each that changes, until Ctrl-C.")
    ] = False,
    output: options.Output = options.Format.TABLE,
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """List models, servers or replicas.

    \b
    Example:
      modelyard get models
      modelyard get models iris -o json
      modelyard get replicas local --watch
    """
    chosen = _KINDS.get(kind if kind.endswith("s") else f"{kind}s")
    if chosen is None:
        raise InvalidInput(f"there is no kind {kind!r}{did_you_mean(kind, _KINDS)}")
    structured = output in (options.Format.JSON, options.Format.YAML)
    if chosen.full_fetch is not None and output is not options.Format.TABLE:
        chosen = chosen._replace(fetch=chosen.full_fetch)
    if watch and structured:
        raise InvalidInput("--watch prints a table: use -o table or -o wide with it")
    if watch:
        options.ask(lambda client: _watch(client, chosen, name, output), scheduler=scheduler, state_dir=state_dir)
        return
    found = options.ask(lambda client: chosen.fetch(client, name), scheduler=scheduler, state_dir=state_dir)
    if structured:
        shaped = [chosen.shape(it) for it in found]
        single = name is not None and chosen.header is not rows.REPLICAS
        table.dump(shaped[0] if single else shaped, as_yaml=output is options.Format.YAML)
        return
    if not found:
        table.note(f"there are no {kind if kind.endswith('s') else kind + 's'}")
        return
    wide = output is options.Format.WIDE
    now = clock.now()
    body = [chosen.row(it, now, wide=wide) for it in found]
    for line in table.lines(chosen.wide_header if wide else chosen.header, body, colour=table.wants_colour()):
        typer.echo(line)


async def _watch(client: "AsyncClient", kind: _Kind, name: str | None, output: options.Format) -> None:
    """Every row once, then each row again whenever it changes, and those that are gone."""
    import asyncio

    wide = output is options.Format.WIDE
    header = kind.wide_header if wide else kind.header
    shown: dict[str, tuple[str, ...]] = {}
    widths = [len(it) + 4 for it in header]
    found = await kind.fetch(client, name)
    typer.echo(_aligned(header, widths))
    while True:
        now = clock.now()
        present = {row[0]: row for it in found for row in [kind.row(it, now, wide=wide)]}
        for key, row in present.items():
            if shown.get(key) != rows.without_age(row, header):
                shown[key] = rows.without_age(row, header)
                typer.echo(_aligned(row, widths))
        for key in [it for it in shown if it not in present]:
            del shown[key]
            typer.echo(f"{key}  gone")
        await asyncio.sleep(WATCH_SECONDS)
        found = await _again(client, kind, name)


async def _again(client: "AsyncClient", kind: _Kind, name: str | None) -> Sequence[Any]:
    """What there is now, however long the scheduler is away; what was deleted is nothing."""
    import asyncio

    warned = False
    while True:
        try:
            return await kind.fetch(client, name)
        except NotFound:
            return []
        except (Unavailable, TimedOut) as error:
            if not warned:
                table.warn(f"{error}; trying again until it answers")
                warned = True
        await asyncio.sleep(WATCH_SECONDS)


def _aligned(row: Sequence[str], widths: list[int]) -> str:
    """Columns grow with what they had to hold so far."""
    for column, text in enumerate(row):
        widths[column] = max(widths[column], len(text))
    return "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
