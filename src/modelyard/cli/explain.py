"""`modelyard explain`."""

from typing import Annotated

import typer

from modelyard.cli import options, shapes, table
from modelyard.cli.placements import reasons


def explain(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    output: options.Output = options.Format.TABLE,
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """Say why a model is where it is, or nowhere.

    Each replica has its say: its state, or why the model is not there.

    Example: modelyard explain iris
    """
    told = options.ask(
        lambda client: client.explain(name.removeprefix("model/")), scheduler=scheduler, state_dir=state_dir
    )
    if output in (options.Format.JSON, options.Format.YAML):
        table.dump(shapes.explained(told), as_yaml=output is options.Format.YAML)
        return
    typer.echo(f"model/{told.name}: {told.explanation.summary}")
    for verdict in told.explanation.verdicts:
        if verdict.chosen:
            typer.echo(f"  on {verdict.replica}: {verdict.reason}")
    for line in reasons(told.explanation.verdicts):
        typer.echo(f"  not on {line}")
