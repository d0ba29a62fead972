"""`modelyard load` and `modelyard unload`."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli import options, shapes, table
from modelyard.kit.errors import InvalidInput


def load(
    name: Annotated[str, typer.Argument(help="The model's name: lower-case letters, digits and -.")],
    uri: Annotated[
        str, typer.Argument(help="Where its files are: a folder or file, http(s)://…, s3://…, gs://…, az://….")
    ],
    requires: Annotated[
        list[str] | None,
        typer.Option(
            "--requires",
            "-r",
            metavar="R",
            help="A capability its server must have, such as onnx or sklearn. May be repeated.",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="Q", help="Memory that it takes, such as 500Ki or 1.5Gi.", show_default=False),
    ] = None,
    replicas: Annotated[
        int | None, typer.Option(metavar="N", help="On how many replicas [default: 1].", show_default=False)
    ] = None,
    min_replicas: Annotated[
        int | None, typer.Option(metavar="N", help="Fewer than --replicas are enough.", show_default=False)
    ] = None,
    server: Annotated[str | None, typer.Option(metavar="S", help="Only on this server.", show_default=False)] = None,
    secret: Annotated[
        str | None,
        typer.Option(metavar="S", help="The secret with its storage's credentials.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Change nothing; say where it would go, and why not to other replicas."),
    ] = False,
    output: options.Output = options.Format.TABLE,
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """Load a model without a manifest.

    Loading a name again with another URI or other needs makes a new version, which takes over once it is Available.

    \b
    Example:
      modelyard load iris ./models/iris --requires onnx --memory 10Mi --replicas 2
    """
    from modelyard.cli.apply import show

    result = options.ask(
        lambda client: client.load(
            name,
            _absolute(uri),
            requires=requires or (),
            memory=memory,
            replicas=replicas,
            min_replicas=min_replicas,
            server=server,
            secret=secret,
            dry_run=dry_run,
        ),
        scheduler=scheduler,
        state_dir=state_dir,
    )
    if output in (options.Format.JSON, options.Format.YAML):
        table.dump(shapes.applied(result), as_yaml=output is options.Format.YAML)
    else:
        show(result, dry_run=dry_run)


def _absolute(uri: str) -> str:
    """A path of this machine in full: agents do not run in this folder."""
    if not uri.strip():
        raise InvalidInput("a URI is needed: where the model's files are")
    path = Path(uri).expanduser()
    if uri.startswith(("./", "../", "~")) or uri in (".", "..") or (":" not in uri and path.exists()):
        return str(path.resolve())
    return uri


def unload(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """Unload a model: delete it with all its versions.

    Example: modelyard unload iris
    """
    options.ask(lambda client: client.unload(name), scheduler=scheduler, state_dir=state_dir)
    typer.echo(f"model/{name} unloaded")
