"""`modelyard wait`."""

from typing import Annotated

import typer

from modelyard.cli import options, words
from modelyard.cli.subjects import subject_of
from modelyard.client.conditions import CONDITIONS
from modelyard.kit.errors import InvalidInput, NotSupported
from modelyard.wire.manifest_problems import did_you_mean


def wait(
    subject: Annotated[str, typer.Argument(metavar="model/NAME", help="What to wait for.")],
    condition: Annotated[
        str, typer.Option("--for", metavar="Available|Unavailable|Deleted", help="What it shall be.")
    ] = "Available",
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="How long at most: 30s, 2m, 500ms.")] = "30s",
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """Wait until a model is Available, Unavailable or Deleted.

    Available means that the newest version is loaded and that every gateway routes requests to it. Exits with 6
    when that does not come in time, saying the model's state and the reason.

    \b
    Example:
      modelyard wait model/iris --for Available --timeout 30s
      modelyard wait model/iris --for Deleted
    """
    kind, name = subject_of("wait", subject if "/" in subject else f"model/{subject}", None)
    if kind != "model":
        raise NotSupported("only models can be waited for yet: modelyard wait model/NAME")
    chosen = next((it for it in CONDITIONS if it.lower() == condition.lower()), None)
    if chosen is None:
        raise InvalidInput(f"--for {condition} is nothing to wait for{did_you_mean(condition, CONDITIONS)}")
    seconds = words.seconds_of(timeout)
    options.ask(
        lambda client: client.wait(name, condition=chosen, timeout_seconds=seconds),
        scheduler=scheduler,
        state_dir=state_dir,
    )
    typer.echo(f"model/{name} is {chosen}")
