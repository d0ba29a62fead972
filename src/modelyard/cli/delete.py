"""`modelyard delete`."""

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import options
from modelyard.cli.subjects import subject_of
from modelyard.kit.errors import InvalidInput, ModelyardError, NotFound

if TYPE_CHECKING:
    from modelyard.client.aio import AsyncClient


def delete(
    kind: Annotated[
        str | None, typer.Argument(metavar="model|server", help="What to delete, if no file names it.")
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Its name.")] = None,
    file: options.Files = None,
    ignore_not_found: Annotated[
        bool, typer.Option("--ignore-not-found", help="What is not there is no error.")
    ] = False,
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """Delete what manifests name, or one model or server.

    A model's routes go first, then its memory; `modelyard wait model/NAME --for Deleted` waits for the end of it.

    \b
    Example:
      modelyard delete model iris
      modelyard delete -f iris.yaml
    """
    if file and kind:
        raise InvalidInput("delete takes either -f FILE or a kind and a name, not both")
    if file:
        from modelyard.client.manifest_files import read_manifests

        subjects = [it.subject for it in reversed(read_manifests(file))]
    else:
        subjects = ["/".join(subject_of("delete", kind, name))]
    failures = options.ask(
        lambda client: _delete(client, subjects, ignore_not_found), scheduler=scheduler, state_dir=state_dir
    )
    if failures:
        for failure in failures[:-1]:
            typer.echo(f"error: {failure}", err=True)
        raise failures[-1]


async def _delete(client: "AsyncClient", subjects: list[str], ignore_not_found: bool) -> list[ModelyardError]:
    failures: list[ModelyardError] = []
    for subject in subjects:
        kind, name = subject.split("/")
        try:
            await (client.unload(name) if kind == "model" else client.delete_server(name))
        except NotFound as error:
            if not ignore_not_found:
                failures.append(error)
            continue
        except ModelyardError as error:
            failures.append(error)
            if error.exit_code in (5, 6):
                break
            continue
        typer.echo(f"{subject} deleted")
    return failures
