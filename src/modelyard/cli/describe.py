"""`modelyard describe`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import options, shapes, sizes, table
from modelyard.cli.descriptions import model_lines, server_lines
from modelyard.cli.subjects import subject_of
from modelyard.kit import clock

if TYPE_CHECKING:
    from modelyard.client.aio import AsyncClient


def describe(
    kind: Annotated[str, typer.Argument(metavar="model|server", help="What it is.")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Its name.")] = None,
    events: Annotated[int, typer.Option(metavar="N", help="At most so many of the newest events; 0: all kept.")] = 20,
    output: options.Output = options.Format.TABLE,
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """Tell all about a model or a server, and what happened to it.

    A model's versions, its states on each replica with the reasons, fields that have no effect yet, and events in
    order; a server's replicas with what they hold.

    \b
    Example:
      modelyard describe model iris
      modelyard describe server local -o json
    """
    which, called = subject_of("describe", kind, name)
    lines, shape = options.ask(
        lambda client: (_model if which == "model" else _server)(client, called, events),
        scheduler=scheduler,
        state_dir=state_dir,
    )
    if output in (options.Format.JSON, options.Format.YAML):
        table.dump(shape, as_yaml=output is options.Format.YAML)
    else:
        typer.echo("\n".join(lines))


async def _model(client: "AsyncClient", name: str, limit: int) -> tuple[list[str], dict[str, Any]]:
    from modelyard.wire.no_effect import without_effect

    (status,) = sizes.joined([await client.model(name)], await client.servers())
    explained = await client.explain(name)
    history = await client.events(f"model/{name}", limit=limit)
    newest = status.versions[-1]
    notes = without_effect(newest.model)
    shape = {
        **shapes.model(status),
        "explanation": shapes.explanation(explained.explanation),
        "notes": [*notes, *sizes.notes(newest)],
        "events": shapes.events(history),
    }
    return model_lines(status, explained, notes, history, clock.now()), shape


async def _server(client: "AsyncClient", name: str, limit: int) -> tuple[list[str], dict[str, Any]]:
    status = await client.server(name)
    history = await client.events(f"server/{name}", limit=limit)
    return server_lines(status, history, clock.now()), {**shapes.server(status), "events": shapes.events(history)}
