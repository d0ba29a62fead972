"""`modelyard apply`."""

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import options, shapes, table
from modelyard.cli.placements import applied_line, dry_run_lines, homeless
from modelyard.kit.errors import InvalidInput, ModelyardError

if TYPE_CHECKING:
    from modelyard.client.aio import AsyncClient
    from modelyard.client.results import Applied
    from modelyard.wire.manifests import Manifest


def apply(
    file: options.Files = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Change nothing; say where each model would go, and why not to other replicas."),
    ] = False,
    output: options.Output = options.Format.TABLE,
    scheduler: options.Scheduler = None,
    state_dir: options.StateDir = None,
) -> None:
    """Make models and servers what manifests say.

    All manifests are checked before the first is sent. A model that has nowhere to go yet is accepted, with a
    warning that says why; it is placed as soon as something changes that helps.

    \b
    Example:
      modelyard apply -f iris.yaml
      modelyard apply -f manifests/ --dry-run
      cat iris.yaml | modelyard apply -f -
    """
    from modelyard.client.manifest_files import read_manifests

    if not file:
        raise InvalidInput("apply needs manifests: modelyard apply -f FILE")
    manifests = read_manifests(file)
    quiet = output in (options.Format.JSON, options.Format.YAML)
    results, failures = options.ask(
        lambda client: _apply(client, manifests, dry_run, quiet), scheduler=scheduler, state_dir=state_dir
    )
    if quiet:
        table.dump([shapes.applied(it) for it in results], as_yaml=output is options.Format.YAML)
    if failures:
        for failure in failures[:-1]:
            typer.echo(f"error: {failure}", err=True)
        raise failures[-1]


async def _apply(
    client: "AsyncClient", manifests: "tuple[Manifest, ...]", dry_run: bool, quiet: bool
) -> "tuple[list[Applied], list[ModelyardError]]":
    """Each in its turn, going on after a refusal: the others may well be fine."""
    results, failures = [], []
    for manifest in manifests:
        try:
            result = await client.apply_manifest(manifest, dry_run=dry_run)
        except ModelyardError as error:
            failures.append(type(error)(f"{manifest.subject} ({manifest.origin}): {error}"))
            if error.exit_code in (5, 6):  # the scheduler is out of reach: the others would fail alike
                break
            continue
        results.append(result)
        if not quiet:
            show(result, dry_run=dry_run)
    return results, failures


def show(result: "Applied", *, dry_run: bool = False) -> None:
    """One line for what was done, and what a user should know of it."""
    if dry_run:
        typer.echo("\n".join(dry_run_lines(result)))
    else:
        typer.echo(applied_line(result))
        if warning := homeless(result):
            table.warn("\n".join(warning))
    for each in result.notes:
        table.note(f"{result.subject}: {each}")
