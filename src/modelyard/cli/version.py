"""`modelyard version`."""

import typer

from modelyard import __version__


def version() -> None:
    """Print the version.

    Example: modelyard version
    """
    typer.echo(__version__)
